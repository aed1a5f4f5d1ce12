# Jobs of Sidekiq. As a script: add QUEUE COUNT [DELAY in s], counts QUEUE, or work, the name of the key in
# which this version says what it works on.
require "json"
require "sidekiq"
require "sidekiq/api"

settings = { url: ENV.fetch("TEST_REDIS") }
Sidekiq.configure_client { |config| config.redis = settings }
Sidekiq.configure_server { |config| config.redis = settings }

if ENV["TEST_FETCH"] == "reliable"
  require "sidekiq-reliable-fetch"
  Sidekiq.configure_server { |config| Sidekiq::ReliableFetch.setup_reliable_fetch!(config) }
end

if ENV["TEST_LEASES"]
  require_relative "../../../contrib/sidekiq/penstock_leases"
  PenstockLeases.send(:remove_const, :LEASE)
  PenstockLeases::LEASE = ENV["TEST_LEASES"].to_f
  Sidekiq.configure_server { |config| config.server_middleware { |chain| chain.add PenstockLeases } }
end

class Hold
  include Sidekiq::Worker

  def perform(name)
    book("RPUSH", "test:began", name)
    sleep 0.05 while book("EXISTS", "test:release").to_i.zero?
    book("RPUSH", "test:ended", name)
  end

  def book(*command)
    Sidekiq.redis { |redis| redis.call(*command) }
  end
end

if $PROGRAM_NAME == __FILE__
  role, queue, count, delay = ARGV
  case role
  when "add"
    count.to_i.times do |number|
      job = { "class" => Hold, "queue" => queue, "args" => ["#{queue}-#{number}"] }
      job["at"] = Time.now.to_f + delay.to_f if delay
      Sidekiq::Client.push(job)
    end
  when "counts"
    works = defined?(Sidekiq::WorkSet) ? Sidekiq::WorkSet.new : Sidekiq::Workers.new
    puts JSON.generate("size" => Sidekiq::Queue.new(queue).size, "busy" => works.size)
  when "work"
    puts Gem::Version.new(Sidekiq::VERSION) < Gem::Version.new("6.4.2") ? "workers" : "work"
  end
end
