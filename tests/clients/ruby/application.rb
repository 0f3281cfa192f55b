# application.rb: a small Rails application's day with its three instances: cache, cable and sessions.
# The session instance is killed in the middle and must come back with every token.
require_relative "application_day"

cache_raw = Redis.new(url: ENV.fetch("CACHE_URL"))
cable_raw = Redis.new(url: ENV.fetch("CABLE_URL"))
SESSIONS = ConnectionPool.new(size: 5, timeout: 30) { Redis.new(url: ENV.fetch("SESSION_URL"), reconnect_attempts: 5) }
CACHE = ActiveSupport::Cache::RedisCacheStore.new(url: ENV.fetch("CACHE_URL"), pool_size: 5, namespace: "app",
                                                  error_handler: ->(exception:, **) { raise exception })

def setting(redis, name) = redis.config(:get, name).fetch(name)

# Runs the block with another limit of memory.
def with_maxmemory(redis, bytes)
  usual = setting(redis, "maxmemory")
  redis.config(:set, "maxmemory", bytes)
  yield
ensure
  redis.config(:set, "maxmemory", usual)
end

[cache_raw, cable_raw].each(&:flushall)
SESSIONS.with(&:flushall)

check "each instance is set up for its role" do
  equal "allkeys-lru", setting(cache_raw, "maxmemory-policy")
  equal "no", setting(cache_raw, "appendonly")
  equal "noeviction", setting(cable_raw, "maxmemory-policy")
  equal "no", setting(cable_raw, "appendonly")
  SESSIONS.with do |redis|
    equal "noeviction", setting(redis, "maxmemory-policy")
    equal "yes", setting(redis, "appendonly")
    equal "everysec", setting(redis, "appendfsync")
  end
end

CABLE = cable_at(ENV.fetch("CABLE_URL"))
news = Queue.new

check "ten threads serve 500 requests with cache, cable and sessions" do
  serve_a_day(news)
  equal 500, SESSIONS.with(&:dbsize)
end

check "sessions survive the SIGKILL of their instance" do
  sessions_survive_the_end_of("session")
end

check "a kill in the middle of sign-ins loses no acknowledged token" do
  threads = Array.new(4) do |t|
    Thread.new do
      200.times { |i| sign_in("late#{t}-#{i}") }
    rescue Redis::BaseConnectionError, SystemCallError
      nil # the token was not acknowledged, so the application does not count on it
    end
  end
  eventually("some sign-ins") { LOCK.synchronize { TOKENS.size } > 550 }
  kill_and_start("session")
  threads.each(&:join)
  lost = TOKENS.count { |token, user| user_of(token) != { user: user }.to_s }
  equal 0, lost
end

check "the cache stays within its limit by evicting" do
  with_maxmemory(cache_raw, cache_raw.info["used_memory"].to_i + 4_000_000) do
    2_000.times { |i| CACHE.write("filler/#{i}", SecureRandom.bytes(10_000)) }
    info = cache_raw.info
    holds "keys were evicted", info["evicted_keys"].to_i.positive?
    holds "within the limit", info["used_memory"].to_i <= info["maxmemory"].to_i * 1.05
    equal 10_000, CACHE.read("filler/1999").bytesize
  end
end

check "the session store refuses writes when it is full, and still reads and deletes" do
  SESSIONS.with do |redis|
    redis.set("present", 1)
    with_maxmemory(redis, 1) do
      raises(Redis::CommandError, /\AOOM command not allowed when used memory > 'maxmemory'\.\z/) { redis.set("k", 1) }
      equal "1", redis.get("present")
      equal 1, redis.del("present")
    end
    equal "OK", redis.set("k", 1)
  end
end

check "the cable still delivers and shuts down" do
  CABLE.broadcast("news", "good night")
  equal "good night", news.pop
  CABLE.shutdown
end
