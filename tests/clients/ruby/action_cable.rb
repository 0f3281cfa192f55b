# action_cable.rb: ActionCable's Redis adapter against the cable instance: two servers, as two web processes.
require_relative "checks"
require "logger"
require "stringio"
require "action_cable"
require "redis"
require "active_support/core_ext/hash/indifferent_access"
require "active_support/core_ext/string/inflections"

URL = ENV.fetch("CABLE_URL")
raw = Redis.new(url: URL)

def adapter(**options)
  server = ActionCable::Server::Base.new(config: ActionCable::Server::Configuration.new)
  server.config.cable = { adapter: "redis", url: URL, **options }.with_indifferent_access
  server.config.logger = Logger.new(StringIO.new)
  server.config.pubsub_adapter.new(server)
end

# Subscribes and returns the queue of messages and the callback, once the server has confirmed.
def subscribe(to, channel)
  queue = Queue.new
  callback = ->(message) { queue << message }
  confirmed = Queue.new
  to.subscribe(channel, callback, -> { confirmed << true })
  confirmed.pop
  [queue, callback]
end

one = adapter
two = adapter

check "a broadcast reaches subscribers of every server, once" do
  first, = subscribe(one, "room:1")
  second, = subscribe(two, "room:1")
  two.broadcast("room:1", "hello")
  equal "hello", first.pop
  equal "hello", second.pop
  one.broadcast("room:1", "žluť \u{1F682}")
  equal "žluť \u{1F682}", second.pop.force_encoding("UTF-8")
  equal "žluť \u{1F682}", first.pop.force_encoding("UTF-8")
  holds "nothing else came", first.empty? && second.empty?
end

check "many channels on one connection keep apart" do
  queues = (1..50).to_h { |i| ["chan:#{i}", subscribe(one, "chan:#{i}").first] }
  queues.each_key { |channel| two.broadcast(channel, "for #{channel}") }
  queues.each { |channel, queue| equal "for #{channel}", queue.pop }
  holds "nothing else came", queues.values.all?(&:empty?)
  equal 51, raw.pubsub(:channels, "room:1").size + raw.pubsub(:channels, "chan:*").size
end

check "messages come in the order of broadcasting" do
  queue, = subscribe(one, "order")
  500.times { |i| two.broadcast("order", i.to_s) }
  # The adapter's thread pool may run callbacks side by side; the set must be whole.
  equal (0...500).to_a, Array.new(500) { queue.pop.to_i }.sort
end

check "unsubscribing while messages come ends only that channel" do
  gone, callback = subscribe(one, "gone")
  stays, = subscribe(one, "stays")
  20.times { two.broadcast("stays", "x") }
  one.unsubscribe("gone", callback)
  eventually("no subscriber is left") { raw.publish("gone", "anyone?").zero? }
  two.broadcast("stays", "last")
  equal ["x"] * 20 + ["last"], Array.new(21) { stays.pop }.sort.reverse
  holds "the unsubscribed got nothing new", gone.size <= 1
end

check "a big message comes whole" do
  queue, = subscribe(two, "big")
  message = "x" * 1_000_000
  one.broadcast("big", message)
  equal message, queue.pop
end

check "a channel prefix keeps two applications apart" do
  app = adapter(channel_prefix: "app1")
  queue, = subscribe(app, "shared")
  plain, = subscribe(one, "shared")
  app.broadcast("shared", "mine")
  equal "mine", queue.pop
  holds "the other application heard nothing", plain.empty?
  app.shutdown
end

check "connections carry the adapter's name" do
  names = raw.client(:list).map { |c| c["name"] }
  holds names.inspect, names.count { |name| name.start_with?("ActionCable-PID-#{$$}") } >= 2
end

check "shutdown leaves no subscriber behind" do
  one.shutdown
  two.shutdown
  eventually("no channels") { raw.pubsub(:channels).empty? }
end
