# Jobs that gitlab-sidekiq-fetcher takes and puts back: JOBS SECONDS. The ledger is as in python/moving.py.
require_relative "sidekiq_app"
require "sidekiq-reliable-fetch"

PACE = 0.002
CHANGING = 1.5
BETWEEN = 0.025

jobs, seconds = Integer(ARGV[0]), Float(ARGV[1])
Sidekiq.logger.level = Logger::WARN
# A job may be interrupted as often as it takes.
Sidekiq.options[:max_retries_after_interruption] = -1
redis = ->(*command) { Sidekiq.redis { |connection| connection.call(*command) } }
fetch = Sidekiq::ReliableFetch.new(queues: ["q"])

add = lambda do
  Sidekiq::Client.push("class" => Hold, "queue" => "q", "args" => ["job-0"])
  redis.call("INCR", "test:entered")
end
# One is never put back, so that the list of this process is there to be found; taken before the others are
# added, so that all are counted only once it was.
add.call
held = fetch.retrieve_work
(jobs - 1).times { add.call }
sleep 0.02 while redis.call("EXISTS", "test:release").to_i.zero?

start = Time.now.to_f
entered, left, taken, moves, pace, changed = jobs, 0, 0, nil, 0.0, 0.0
while left + 1 < entered
  work = fetch.retrieve_work
  taken += 1
  pace = [pace + PACE, Time.now.to_f - 10 * PACE].max
  sleep [0, pace - Time.now.to_f].max
  changing = Time.now.to_f - start - seconds
  moves ||= 2 * taken if changing >= 0
  if changing < 0 || (changing < CHANGING && Time.now.to_f - changed < BETWEEN)
    # By hand, and as a worker that ends.
    taken.odd? ? work.requeue : fetch.bulk_requeue([work], {})
    next
  end
  changed = Time.now.to_f
  left += 1
  redis.call("INCR", "test:leaving")
  work.acknowledge
end
redis.call("INCR", "test:leaving")
held.acknowledge
redis.call("SET", "test:moves", (moves / seconds).round)
