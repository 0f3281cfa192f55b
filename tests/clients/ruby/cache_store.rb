# cache_store.rb: ActiveSupport's RedisCacheStore against the cache instance.
require_relative "checks"
require "logger"
require "active_support"
require "active_support/cache"
require "active_support/cache/redis_cache_store"
require "active_support/core_ext/numeric/time"

URL = ENV.fetch("CACHE_URL")
raw = Redis.new(url: URL)
raw.flushall

# Failures that the store would swallow as a miss fail the check instead.
LOUD = ->(method:, returning:, exception:) { raise exception }

def store(**options)
  ActiveSupport::Cache::RedisCacheStore.new(url: URL, error_handler: LOUD, **options)
end

check "write, read, exist, delete and fetch" do
  cache = store
  holds "written", cache.write("user/1", { name: "Ada", tags: [1, nil, :x] })
  equal({ name: "Ada", tags: [1, nil, :x] }, cache.read("user/1"))
  equal true, cache.exist?("user/1")
  equal nil, cache.read("none")
  calls = 0
  2.times { equal 42, cache.fetch("answer") { calls += 1; 42 } }
  equal 1, calls
  equal 43, cache.fetch("answer", force: true) { 43 }
  cache.delete("user/1")
  equal false, cache.exist?("user/1")
  cache.write("nothing", nil)
  equal nil, cache.fetch("nothing") { raise "nil is cached too" }
end

check "values above the compression threshold and of 2 MB" do
  cache = store
  [1_000, 10_000, 2_000_000].each do |size|
    value = Random.new(size).bytes(size)
    cache.write("big", value)
    equal value, cache.read("big")
    cache.write("text", "a" * size)
    equal "a" * size, cache.read("text")
  end
end

check "write_multi, read_multi, fetch_multi and delete_multi" do
  cache = store
  cache.write_multi({ "a" => 1, "b" => "two" })
  equal({ "a" => 1, "b" => "two" }, cache.read_multi("a", "b", "c"))
  equal({ "a" => 1, "c" => "cc" }, cache.fetch_multi("a", "c") { |name| name * 2 })
  cache.write_multi({ "e" => 1, "f" => 2 }, expires_in: 1.hour)
  holds "a TTL", raw.ttl("e").between?(1, 3600)
  equal 2, cache.delete_multi(%w[a b])
  equal({ "c" => "cc" }, cache.read_multi("a", "b", "c"))
end

check "unless_exist writes once" do
  cache = store
  cache.delete("lock")
  equal true, cache.write("lock", 1, unless_exist: true, expires_in: 60)
  equal false, cache.write("lock", 2, unless_exist: true, expires_in: 60)
  equal 1, cache.read("lock")
  holds "a TTL in milliseconds", raw.pttl("lock").between?(1, 60_000)
end

check "increment and decrement set the time to live once" do
  cache = store
  cache.delete("hits")
  equal 1, cache.increment("hits", 1, expires_in: 1000)
  holds "the first sets it", raw.ttl("hits").between?(1, 1000)
  equal 11, cache.increment("hits", 10, expires_in: 9_999_999)
  holds "the second leaves it", raw.ttl("hits").between?(1, 1000)
  equal 6, cache.decrement("hits", 5)
  equal "6", cache.read("hits", raw: true)
end

check "entries expire" do
  cache = store
  cache.write("short", "lived", expires_in: 0.02)
  eventually("expiry") { cache.read("short").nil? }
  eventually("the key itself is gone") { !raw.exists?("short") }
  cache.write("long", "lived", expires_in: 1.hour)
  equal "lived", cache.read("long")
end

check "delete_matched deletes what matches, in a big keyspace" do
  cache = store
  raw.flushdb
  raw.pipelined { |p| 5_000.times { |i| p.set("views/#{i}", i) }; 2_500.times { |i| p.set("keep/#{i}", i) } }
  cache.delete_matched("views/*")
  equal 2_500, raw.dbsize
  cache.delete_matched("keep/[0-4]*")
  equal 2_500 - (0...2_500).count { |i| i.to_s[0] <= "4" }, raw.dbsize
end

check "clear with a namespace spares the others, without one it is FLUSHDB" do
  raw.flushdb
  mine = store(namespace: "mine")
  other = store(namespace: "other")
  300.times { |i| mine.write("k#{i}", i) && other.write("k#{i}", i) }
  equal 7, mine.read("k7")
  equal %w[mine:k7 other:k7], raw.keys("*:k7").sort
  mine.clear
  equal nil, mine.read("k7")
  equal 7, other.read("k7")
  equal 300, raw.dbsize
  store.clear
  equal 0, raw.dbsize
end

check "a pool serves many threads" do
  cache = store(pool_size: 5, pool_timeout: 30, namespace: "pool")
  threads = Array.new(10) do |t|
    Thread.new { 200.times { |i| cache.write("#{t}/#{i}", i * t); equal i * t, cache.read("#{t}/#{i}") } }
  end
  threads.each(&:join)
  equal 2_000, raw.dbsize
  cache.clear
end

check "the local cache strategy and long keys" do
  cache = store
  cache.with_local_cache { cache.write("local", 1); equal 1, cache.read("local") }
  long = "x" * 5_000
  cache.write(long, "found")
  equal "found", cache.read(long)
end

check "a lost connection is a miss, then the next call works" do
  failures = []
  cache = store(error_handler: ->(method:, returning:, exception:) { failures << method }, reconnect_attempts: 0)
  cache.write("k", 1)
  raw.call([:client, :kill, "type", "normal", "skipme", "yes"])
  cache.read("k")
  equal 1, cache.read("k")
  holds "at most one failure", failures.size <= 1
end

raw.flushall
