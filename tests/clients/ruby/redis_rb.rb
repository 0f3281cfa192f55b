# redis_rb.rb: redis-rb 4 with connection_pool, as Rails applications use it by hand.
require_relative "checks"
require "redis"
require "connection_pool"

URL = ENV.fetch("CACHE_URL")
SOCKET = ENV.fetch("CACHE_SOCKET")
redis = Redis.new(url: URL)
redis.flushall

check "strings of any bytes go and come back" do
  ["", "plain", "žluťoučký", "a\0b\r\n\xFF".b, "x" * 5_000_000].each do |value|
    equal "OK", redis.set("k", value)
    equal value.b, redis.get("k").b
  end
  equal nil, redis.get("none")
end

check "SET takes its options" do
  redis.flushdb
  equal true, redis.set("k", 1, nx: true)
  equal false, redis.set("k", 2, nx: true)
  equal "1", redis.set("k", 3, get: true)
  equal "OK", redis.set("k", 4, ex: 100)
  holds "a TTL", redis.ttl("k").between?(1, 100)
  redis.set("k", 5, keepttl: true)
  holds "the TTL stays", redis.ttl("k").between?(1, 100)
  redis.set("k", 6, pxat: 4_102_444_800_123)
  equal 4_102_444_800_123, redis.call([:pexpiretime, "k"])
  equal "6", redis.getex("k", persist: true)
  equal(-1, redis.ttl("k"))
  equal "6", redis.getdel("k")
  equal false, redis.exists?("k")
end

check "several keys, counters and ranges" do
  redis.flushdb
  equal "OK", redis.mapped_mset("a" => 1, "b" => 2)
  equal({ "a" => "1", "b" => "2", "c" => nil }, redis.mapped_mget("a", "b", "c"))
  equal false, redis.msetnx("a", 1, "c", 2)
  equal 3, redis.incrby("a", 2)
  equal 3.5, redis.incrbyfloat("a", 0.5)
  equal 5, redis.append("s", "Hello")
  equal "ell", redis.getrange("s", 1, 3)
  equal 7, redis.setrange("s", 5, "!!")
  equal 3, redis.del("a", "b", "s")
end

check "a pipeline answers in order, errors included" do
  redis.flushdb
  equal ["OK", 1, "v"], redis.pipelined { |p| p.set("k", "v"); p.incr("n"); p.get("k") }
  equal (1..10_000).to_a, redis.pipelined { |p| 10_000.times { p.incr("deep") } }
  raises(Redis::CommandError, /not an integer/) { redis.pipelined { |p| p.incr("k"); p.get("k") } }
  equal "v", redis.get("k")
end

check "MULTI, and WATCH that another connection breaks" do
  redis.flushdb
  equal ["OK", 1], redis.multi { |m| m.set("k", "v"); m.incr("n") }
  other = Redis.new(url: URL)
  result = redis.watch("k") do |r|
    other.set("k", "changed")
    r.multi { |m| m.set("k", "mine") }
  end
  equal nil, result
  equal "changed", redis.get("k")
  equal ["OK"], redis.watch("k") { |r| r.multi { |m| m.set("k", "mine") } }
  other.close
end

check "scan_each finds every key once" do
  redis.flushdb
  redis.pipelined { |p| 2_000.times { |i| p.set("user:#{i}", i) }; 500.times { |i| p.set("post:#{i}", i) } }
  equal 2_500, redis.dbsize
  equal (0...2_000).map { |i| "user:#{i}" }.sort, redis.scan_each(match: "user:*", count: 100).to_a.sort
  equal 2_500, redis.scan_each(type: "string").to_a.uniq.size
  equal 500, redis.keys("post:*").size
end

check "databases, names and CLIENT LIST" do
  named = Redis.new(url: URL.sub(%r{/0\z}, "/3"), id: "ActionCable-PID-#{$$}")
  named.set("only-there", 1)
  equal nil, redis.get("only-there")
  equal "ActionCable-PID-#{$$}", named.call([:client, :getname])
  line = named.client(:list).find { |c| c["name"] == "ActionCable-PID-#{$$}" }
  equal "3", line["db"]
  named.flushdb
  named.close
end

check "INFO and CONFIG parse" do
  info = redis.info
  holds "redis_version", Gem::Version.new(info["redis_version"]) >= Gem::Version.new("7.0")
  holds "maxmemory_policy", info["maxmemory_policy"]
  holds "numbers", info["used_memory"].to_i.positive? && info["connected_clients"].to_i.positive?
  equal [info["maxmemory_policy"]], redis.config(:get, "maxmemory-policy").values
  holds "time", (redis.time.first - Time.now.to_i).abs < 60
end

check "errors are CommandError with the server's text" do
  raises(Redis::CommandError, /\AERR unknown command/) { redis.call([:nosuch, "a"]) }
  raises(Redis::CommandError, /\AERR wrong number of arguments for 'get' command/) { redis.call([:get]) }
  raises(Redis::CommandError, /\AERR syntax error/) { redis.call([:set, "k", "v", "FOO"]) }
end

check "a pool of connections under eight threads loses no increment" do
  redis.flushdb
  pool = ConnectionPool.new(size: 5, timeout: 30) { Redis.new(url: URL) }
  Array.new(8) { Thread.new { 500.times { pool.with { |r| r.incr("hits") } } } }.each(&:join)
  equal "4000", redis.get("hits")
  pool.shutdown(&:close)
end

check "publish and subscribe, patterns too" do
  received = Queue.new
  ready = Queue.new
  thread = Thread.new do
    Redis.new(url: URL).subscribe("news", "sport") do |on|
      on.subscribe { |channel, count| ready << [channel, count] }
      on.message { |channel, message| received << [channel, message] }
    end
  end
  equal ["news", 1], ready.pop
  equal ["sport", 2], ready.pop
  equal 1, redis.publish("news", "first \0 \xFF".b)
  equal 1, redis.publish("sport", "second")
  equal 0, redis.publish("nobody", "x")
  equal ["news", "first \0 \xFF".b], received.pop.then { |c, m| [c, m.b] }
  equal ["sport", "second"], received.pop
  equal({ "news" => 1, "none" => 0 }, Hash[*redis.pubsub(:numsub, "news", "none").flatten])
  thread.kill
end

check "psubscribe ends by punsubscribe from inside" do
  seen = []
  thread = Thread.new do
    client = Redis.new(url: URL)
    client.psubscribe("log.*") do |on|
      on.pmessage do |pattern, channel, message|
        seen << [pattern, channel, message]
        client.punsubscribe("log.*")
      end
    end
    equal "PONG", client.ping
  end
  eventually("the subscription") { redis.pubsub(:numpat).positive? }
  redis.publish("log.web", "hit")
  thread.join
  equal [["log.*", "log.web", "hit"]], seen
end

check "a killed connection is opened again by itself" do
  client = Redis.new(url: URL)
  equal 1, redis.call([:client, :kill, "id", client.call([:client, :id])])
  equal "PONG", client.ping
end

check "the unix socket works as well" do
  local = Redis.new(path: SOCKET)
  local.set("by", "socket")
  equal "socket", redis.get("by")
  local.close
end

redis.flushall
redis.close
