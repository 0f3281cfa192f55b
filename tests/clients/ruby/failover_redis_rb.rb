# failover_redis_rb.rb: redis-rb 4 through Sentinel, as a Rails application's session store and cable use it: it finds the
# primary, and follows when another server takes over, because the primary was killed or by hand. What was acknowledged
# with WAIT 1 is still there. with_group runs the servers.
require_relative "checks"
require "redis"

GROUP = "sessions"
SENTINELS = ENV.fetch("SENTINELS").split(",").map { |port| { host: "127.0.0.1", port: port.to_i } }
ENOUGH = 100 # writes before the kill, and once more after it

def connect(role = :master)
  Redis.new(url: "redis://#{GROUP}", sentinels: SENTINELS, role: role, password: ENV.fetch("GROUP_PASSWORD"))
end

def sentinel = @sentinel ||= Redis.new(**SENTINELS.first)
def primary_port = sentinel.sentinel("get-master-addr-by-name", GROUP)[1].to_i

# On one connection, in one go: elsewhere WAIT would say nothing about the write before it. How many replicas have it.
def save(redis, key, value) = redis.pipelined { |p| p.set(key, value); p.call([:wait, 1, 2000]) }.last

# Nil while nobody is primary: to be tried again.
def if_possible
  yield
rescue Redis::BaseError
  nil
end

redis = connect
first = primary_port

check "the primary is found by the name of its group, and a replica by its role" do
  holds "a replica has it", save(redis, "k", "v") >= 1
  equal first, redis.info["tcp_port"].to_i
  equal "master", redis.call([:role]).first
  replica = connect(:slave)
  equal "slave", replica.call([:role]).first
  holds "another server", replica.info["tcp_port"].to_i != first
  eventually("the value at the replica") { replica.get("k") == "v" }
  raises(Redis::CommandError, /\AREADONLY /) { replica.set("k", "w") }
  replica.close
end

# As Action Cable does: a subscription that begins again whenever its connection ends.
def listen(channel, into)
  Thread.new do
    loop do
      if_possible { connect.subscribe(channel) { |on| on.message { |_, message| into << message } } }
      sleep 0.05
    end
  end
end

check "a client follows when the primary is killed, and nothing acknowledged is lost" do
  heard = Queue.new
  listener = listen("news", heard)
  eventually("a message before") { redis.publish("news", "before") >= 1 && !heard.empty? }
  saved = 0
  write = -> { if_possible { save(redis, "key:#{saved}", "value #{saved}") >= 1 } && saved += 1 }
  write.call until saved >= ENOUGH
  writer = Thread.new { eventually("enough writes after") { write.call && saved >= 3 * ENOUGH } }
  Process.kill(:KILL, File.read("#{ENV.fetch('GROUP_DIR')}/#{first}/pid").to_i)
  writer.value
  holds "another primary", primary_port != first
  equal primary_port, redis.info["tcp_port"].to_i
  saved.times { |i| equal "value #{i}", redis.get("key:#{i}") }
  heard.clear
  eventually("a message after") { redis.publish("news", "after") >= 1 && !heard.empty? }
  listener.kill
end

check "a client follows a failover by hand, and no connection stays with the old primary" do
  old = primary_port
  eventually("Sentinel begins") { if_possible { sentinel.sentinel("failover", GROUP) } }
  eventually("another primary") { primary_port != old }
  eventually("a write") { if_possible { save(redis, "moved", "v") >= 1 } }
  equal primary_port, redis.info["tcp_port"].to_i
  equal "v", redis.get("k")
end
