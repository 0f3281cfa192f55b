# cluster_redis_rb.rb: redis-rb 4's client for clusters: keys of all slots, transactions, pipelines and scripts with tags,
# pub/sub, reads from replicas; and all of it goes on while slots move there and back, a node joins and leaves, and a primary
# is killed. with_cluster runs the servers.
require_relative "checks"
require "open3"
require "redis"

SLOTS = 16_384
NODES = ENV.fetch("CLUSTER_PORTS").split(",").first(2).map { |port| "redis://127.0.0.1:#{port}" }

def connect(**options) = Redis.new(cluster: NODES, password: ENV.fetch("CLUSTER_PASSWORD"), **options)

def disturb(what)
  said, status = Open3.capture2e(File.join(__dir__, "../disturb"), what)
  raise said unless status.success?
end

# A key for each slot; in braces it is a tag of that slot.
def keys_of_all_slots
  keys = {}
  number = 0
  while keys.size < SLOTS
    keys[Redis::Cluster::KeySlotConverter.convert("key#{number}")] ||= "key#{number}"
    number += 1
  end
  keys
end

KEYS = keys_of_all_slots
CLIENT = connect

# `value` was acknowledged, or was there; it was tried to make it `tries`.
class Counter
  attr_accessor :value, :tries
  attr_reader :key, :pair

  def initialize(slot)
    @key = "count:{#{KEYS[slot]}}"
    @pair = %w[a b].map { |letter| "#{letter}:{#{KEYS[slot]}}" }
    @value = @tries = 0
  end

  def count(least)
    @tries += 1
    value = CLIENT.incr(key)
    raise "#{key} is #{value}, not in #{least}..#{tries}" unless value > least && value <= tries

    @value = value
  end

  def write
    seen = CLIENT.multi { |m| pair.each { |one| m.set(one, value) }; pair.each { |one| m.get(one) } }
    equal [value.to_s] * 2, seen.last(2)
  end
end

# Half of them are in the slots that move.
COUNTERS = [*(0...300).step(6), *(300...SLOTS).step(300)].map { |slot| Counter.new(slot) }

# Goes once through all; how often it failed as the library documents. In a failover acknowledged writes may go, but not those
# that the replica had.
def run(documented, loses: {})
  COUNTERS.count do |counter|
    counter.count(loses.fetch(counter.key, counter.value))
    counter.write
    false
  rescue Redis::BaseError => e
    documented.call(e) || raise
  end
end

# Goes on while this happens, and until the client is well again.
def load_during(phase, loses: {}, &documented)
  documented ||= ->(_) { false }
  disturbance = Thread.new { disturb(phase) }
  run(documented, loses: loses) while disturbance.alive?
  disturbance.value
  eventually("a round without a failure") { run(documented, loses: loses).zero? }
end

def assert_well
  COUNTERS.each do |counter|
    holds counter.key, CLIENT.get(counter.key).to_i.between?(counter.value, counter.tries)
    holds counter.pair, CLIENT.mget(counter.pair).uniq.size == 1
  end
end

def assert_values(first, step)
  (first...SLOTS).step(step) { |slot| equal "value #{slot}", CLIENT.get(KEYS[slot]) }
end

check "keys of all slots are written and read" do
  KEYS.each { |slot, key| CLIENT.set(key, "value #{slot}") }
  assert_values(0, 1)
end

check "transactions, pipelines and scripts take keys of one tag, and no others" do
  equal %w[OK OK one], CLIENT.multi { |m| m.set("{tag}1", "one"); m.set("{tag}2", "two"); m.get("{tag}1") }
  equal %w[one two], CLIENT.pipelined { |p| p.get("{tag}1"); p.get("{tag}2") }
  raises(Redis::Cluster::CrossSlotPipeliningError) { CLIENT.pipelined { |p| p.get(KEYS[0]); p.get(KEYS[SLOTS - 1]) } }
  script = "redis.call('SET', KEYS[1], ARGV[1]); return {KEYS[2], redis.call('GET', KEYS[2])}"
  equal ["{tag}2", "two"], CLIENT.eval(script, keys: ["{tag}1", "{tag}2"], argv: ["new"])
  equal "new", CLIENT.get("{tag}1")
  raises(Redis::CommandError, /CROSSSLOT/) { CLIENT.mget(KEYS[1], KEYS[2]) }
  raises(Redis::CommandError, /non local key/) { CLIENT.eval("return redis.call('GET', '#{KEYS[SLOTS - 1]}')", keys: [KEYS[1]]) }
end

check "messages reach subscribers" do
  heard = Queue.new
  listener = Thread.new do
    connect.subscribe("news") do |on|
      on.subscribe { heard << "listens" }
      on.message { |_, message| heard << message }
    end
  end
  equal "listens", heard.pop
  CLIENT.publish("news", "hello")
  equal "hello", heard.pop
  listener.kill
end

check "replicas are read from" do
  disturb("settle")
  reader = connect(replica: true)
  (0...SLOTS).step(500) { |slot| equal "value #{slot}", reader.get(KEYS[slot]) }
  reader.close
end

check "a client goes on while slots move there and back" do
  load_during("reshard")
  assert_well
  assert_values(0, 10)
end

check "a client goes on while a node joins, gets slots, gives them back and leaves" do
  load_during("resize")
  assert_well
  assert_values(300, 100)
end

check "a client follows when a primary is killed and its replica takes over" do
  disturb("settle")
  settled = COUNTERS.to_h { |counter| [counter.key, counter.value] }
  load_during("kill", loses: settled) { |e| e.is_a?(Redis::BaseConnectionError) || e.message.start_with?("CLUSTERDOWN", "LOADING") }
  COUNTERS.each { |counter| counter.value = counter.tries = CLIENT.get(counter.key).to_i }
  load_during("settle")
  assert_well
  assert_values(0, 50)
end
