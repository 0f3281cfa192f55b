# application_day.rb: a small Rails application's day, for application.rb (three instances) and application_one.rb (one for
# all roles): people sign in and read pages from the cache, and everybody hears of it.
#
# Whoever requires it sets SESSIONS, CACHE and CABLE.
require_relative "checks"
require "logger"
require "stringio"
require "securerandom"
require "action_cable"
require "active_support/cache"
require "active_support/cache/redis_cache_store"
require "active_support/core_ext/hash/indifferent_access"
require "active_support/core_ext/numeric/time"
require "active_support/core_ext/string/inflections"
require "connection_pool"

INSTANCE = File.expand_path("../instance", __dir__)
TOKENS = {} # what the application has handed out: every one of them was acknowledged by the server
LOCK = Mutex.new

def cable_at(url)
  server = ActionCable::Server::Base.new(config: ActionCable::Server::Configuration.new)
  server.config.cable = { adapter: "redis", url: url, channel_prefix: "app" }.with_indifferent_access
  server.config.logger = Logger.new(StringIO.new)
  server.config.pubsub_adapter.new(server)
end

def sign_in(user)
  token = SecureRandom.hex(16)
  SESSIONS.with { |redis| redis.setex("session:#{token}", 86_400, { user: user }.to_s) }
  LOCK.synchronize { TOKENS[token] = user }
  token
end

def user_of(token) = SESSIONS.with { |redis| redis.getex("session:#{token}", ex: 86_400) }

# One request: session, page from the cache, news to everybody.
def request(user, page)
  token = sign_in(user)
  equal({ user: user }.to_s, user_of(token))
  html = CACHE.fetch("page/#{page}", expires_in: 1.hour) { "<h1>#{page}</h1>" * 50 }
  equal "<h1>#{page}</h1>" * 50, html
  CACHE.increment("views/#{page}", 1, expires_in: 3600)
  CABLE.broadcast("news", "#{user} read #{page}")
end

# Ten threads serve 500 requests for seven pages; what the cable brings goes to `news`, from then on too.
def serve_a_day(news)
  confirmed = Queue.new
  CABLE.subscribe("news", ->(message) { news << message }, -> { confirmed << true })
  confirmed.pop
  Array.new(10) { |t| Thread.new { 50.times { |i| request("user#{t}-#{i}", i % 7) } } }.each(&:join)
  equal 500, Array.new(500) { news.pop }.uniq.size
  equal 500, (0..6).sum { |page| CACHE.read("views/#{page}", raw: true).to_i }
end

def session_expiries = SESSIONS.with { |redis| TOKENS.keys.map { |token| redis.call([:pexpiretime, "session:#{token}"]) } }

def kill_and_start(instance)
  holds "killed", system(INSTANCE, "kill", instance)
  holds "started again", system(INSTANCE, "start", instance)
end

# Every token is there after SIGKILL, with the moment of its end.
def sessions_survive_the_end_of(instance)
  before = session_expiries
  kill_and_start(instance)
  TOKENS.each { |token, user| equal({ user: user }.to_s, SESSIONS.with { |redis| redis.get("session:#{token}") }) }
  equal before, session_expiries
end
