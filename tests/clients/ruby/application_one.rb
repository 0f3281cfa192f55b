# application_one.rb: the day of application.rb with one process for all three roles: databases 0 (cache), 1 (cable)
# and 2 (sessions) of conf/one.conf. It is killed in the middle: the sessions come back, the cache does not.
require_relative "application_day"

HOST = ENV.fetch("ONE_URL").delete_suffix("/0")
ADMIN = Redis.new(url: "#{HOST}/0", reconnect_attempts: 5)
SESSIONS = ConnectionPool.new(size: 5, timeout: 30) { Redis.new(url: "#{HOST}/2", reconnect_attempts: 5) }
CACHE = ActiveSupport::Cache::RedisCacheStore.new(url: "#{HOST}/0", pool_size: 5, namespace: "app", reconnect_attempts: 5,
                                                  error_handler: ->(exception:, **) { raise exception })

def setting(name) = ADMIN.config(:get, name).fetch(name)

# What INFO tells of a database.
def facts(db) = ADMIN.info("databases").fetch("database#{db}").split(",").to_h { |pair| pair.split("=", 2) }

# Runs the block with another limit for one database.
def with_limit(db, bytes)
  usual = setting("db-maxmemory")
  ADMIN.config(:set, "db-maxmemory", "#{usual} #{db} #{bytes}")
  yield
ensure
  ADMIN.config(:set, "db-maxmemory", usual)
end

ADMIN.flushall

check "each database is set up for its role" do
  equal %w[cache allkeys-lru no], facts(0).values_at("name", "policy", "persistence")
  equal %w[cable noeviction no], facts(1).values_at("name", "policy", "persistence")
  equal %w[session noeviction yes], facts(2).values_at("name", "policy", "persistence")
  equal "yes", setting("appendonly")
end

CABLE = cable_at("#{HOST}/1")
news = Queue.new

check "ten threads serve 500 requests with cache, cable and sessions" do
  serve_a_day(news)
  equal "500", facts(2).fetch("keys")
  equal "14", facts(0).fetch("keys")
end

check "the cache stays within its limit by evicting, and no session goes" do
  with_limit(0, 4_000_000) do
    2_000.times { |i| CACHE.write("filler/#{i}", SecureRandom.bytes(10_000)) }
    cache = facts(0)
    holds "keys were evicted", cache.fetch("evicted").to_i.positive?
    holds "within the limit", cache.fetch("bytes").to_i <= 4_050_000
    equal 10_000, CACHE.read("filler/1999").bytesize
  end
  equal %w[500 0 0], facts(2).values_at("keys", "evicted", "refused")
end

check "the session store refuses writes when it is full, and the cache goes on" do
  SESSIONS.with do |redis|
    redis.set("present", 1)
    with_limit(2, 1) do
      raises(Redis::CommandError, /\AOOM command not allowed when used memory > 'maxmemory'\.\z/) { redis.set("k", 1) }
      holds "the cache takes more", CACHE.write("still", "here")
      equal "1", redis.get("present")
      equal 1, redis.del("present")
    end
    equal "OK", redis.set("k", 1)
    equal 1, redis.del("k")
  end
end

check "clearing the cache leaves the sessions" do
  CACHE.redis.with(&:flushdb)
  equal "0", facts(0).fetch("keys")
  equal "500", facts(2).fetch("keys")
end

CABLE.broadcast("news", "good night")

check "the cable still delivers and shuts down" do
  equal "good night", news.pop
  CABLE.shutdown
end

check "sessions survive the SIGKILL of the process, and the cache does not" do
  CACHE.write("page/last", "gone")
  sessions_survive_the_end_of("one")
  equal "0", facts(0).fetch("keys")
  equal nil, CACHE.read("page/last")
end
