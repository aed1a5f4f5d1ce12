# Keeps a lease in Redis for each Sidekiq job that runs, for triggers of the layout `lease` with
# `queue: queue:NAME`, the key of Sidekiq's list. The layout `sidekiq` needs none of this, but sees
# running jobs only as often as a process reports them, every ten seconds.
#
#   Sidekiq.configure_server do |config|
#     config.server_middleware { |chain| chain.add PenstockLeases }
#   end
class PenstockLeases
  LEASE = 60 # seconds; renewed every 20, so a lost worker counts for a minute at most
  LOCK = Mutex.new # so that no renewal brings back a lease that ended
  RUNNING = {} # key and member: true

  def initialize(prefix = "penstock")
    @prefix = prefix
  end

  def call(_worker, job, queue)
    lease = ["#{@prefix}:inflight:queue:#{queue}", "#{job["jid"]}/#{job["retry_count"]}"]
    LOCK.synchronize { RUNNING[lease] = true }
    change { |redis| redis.zadd(lease[0], Time.now.to_f + LEASE, lease[1]) }
    self.class.renew
    yield
  ensure
    LOCK.synchronize { RUNNING.delete(lease) }
    change { |redis| redis.zrem(*lease) }
  end

  def self.renew
    LOCK.synchronize { @renewer ||= Thread.new { new.renew_for_ever } }
  end

  def renew_for_ever
    loop do
      sleep LEASE / 3.0
      change do |redis|
        RUNNING.each_key do |key, member|
          redis.zadd(key, Time.now.to_f + LEASE, member)
          redis.zremrangebyscore(key, "-inf", Time.now.to_f - 3600) # of lost workers
        end
      end
    end
  end

  # A job must not fail because Redis did: the next renewal tries again.
  def change(&block)
    LOCK.synchronize { Sidekiq.redis(&block) }
  rescue StandardError => error
    Sidekiq.logger.warn("no lease: #{error.message}")
  end
end
