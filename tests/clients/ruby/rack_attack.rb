# rack_attack.rb: Rack::Attack's throttles and bans counted in the cache instance, through redis-rb and RedisCacheStore.
require_relative "checks"
require "logger"
require "active_support"
require "active_support/cache"
require "active_support/cache/redis_cache_store"
require "rack"
require "rack/attack"
require "rack/mock"

URL = ENV.fetch("CACHE_URL")
LONG = 1_000_000_000 # seconds: no check meets the end of a period
raw = Redis.new(url: URL)
raw.flushall

Rack::Attack.throttle("requests/ip", limit: 5, period: LONG) { |request| request.ip if request.path == "/" }
Rack::Attack.blocklist("scanners") do |request|
  Rack::Attack::Fail2Ban.filter("scan-#{request.ip}", maxretry: 3, findtime: LONG, bantime: 300) do
    request.path.include?("/etc/passwd")
  end
end
Rack::Attack.blocklist("floods") do |request|
  Rack::Attack::Allow2Ban.filter("login-#{request.ip}", maxretry: 4, findtime: LONG, bantime: 300) do
    request.path == "/login"
  end
end

APP = Rack::MockRequest.new(Rack::Attack.new(->(_env) { [200, {}, ["fine"]] }))

def status(path, ip) = APP.get(path, "REMOTE_ADDR" => ip).status

{
  "redis-rb" => -> { Redis.new(url: URL) },
  "RedisCacheStore" => -> { ActiveSupport::Cache::RedisCacheStore.new(url: URL) },
}.each do |name, make|
  raw.flushall
  Rack::Attack.cache.store = make.call

  check "#{name}: the sixth request of an address is throttled, another address is not" do
    equal [200] * 5 + [429] * 3, Array.new(8) { status("/", "10.0.0.1") }
    equal 200, status("/", "10.0.0.2")
    holds "counters expire", raw.keys("rack::attack*").all? { |key| raw.ttl(key).positive? }
  end

  check "#{name}: fail2ban bans after three bad requests" do
    equal 200, status("/ok", "10.0.0.3")
    equal [403] * 3, Array.new(3) { status("/etc/passwd", "10.0.0.3") }
    equal 403, status("/ok", "10.0.0.3")
    equal 200, status("/ok", "10.0.0.4")
    ban = raw.keys("*fail2ban:ban*")
    equal 1, ban.size
    holds "the ban ends by itself", raw.ttl(ban.first).between?(1, 300)
    Rack::Attack::Fail2Ban.reset("scan-10.0.0.3", findtime: LONG)
    equal 200, status("/ok", "10.0.0.3")
  end

  check "#{name}: allow2ban lets the first ones through" do
    equal [200] * 4 + [403] * 2, Array.new(6) { status("/login", "10.0.0.5") }
  end
end

check "counting from many threads loses nothing" do
  raw.flushall
  Rack::Attack.cache.store = Redis.new(url: URL)
  results = Array.new(8) { Thread.new { Array.new(10) { status("/", "10.0.0.9") } } }.flat_map(&:value)
  equal 5, results.count(200)
end

raw.flushall
