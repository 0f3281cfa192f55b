# house_live.rb: the section "Live" of docs/moving.md, word by word but for ports and folders: from redis-server to
# Trivet and back, both ways that it tells of, while clients write. Nothing that was acknowledged is lost.
require_relative "checks"
require "open3"
require "redis"
require "socket"
require "tmpdir"

ROOT = File.expand_path("../../..", __dir__)
FOLDER = Dir.mktmpdir("house-", ENV["CLIENTS_DIR"])
WRITERS = 4
ENOUGH = 200 # writes of each writer between two moves

def random_port
  TCPServer.open("127.0.0.1", rand(10_000..32_000)) { |server| server.addr[1] }
rescue Errno::EADDRINUSE
  retry
end

REDIS = random_port
TRIVET = random_port
PIDS = {}

# The commands of the section: the lines that stand four columns in, block by block.
BLOCKS = File.read("#{ROOT}/docs/moving.md")[/^## Live\n(.*?)(?=^## |\z)/m, 1]
             .split(/\n{2,}/).select { |part| part.start_with?("    ") }.map { |part| part.gsub(/^    /, "") }
raise "the section has three blocks of commands, not #{BLOCKS.size}" unless BLOCKS.size == 3

START, STEP_BY_STEP, AT_ONCE = BLOCKS

# In the words of the section the old server is at 6379 and the new one at 6381.
def with_ports(commands, old, new) = commands.gsub(/\b(6379|6381)\b/, "6379" => old.to_s, "6381" => new.to_s)

def spawn_server(port, *words)
  Dir.mkdir("#{FOLDER}/#{port}")
  PIDS[port] = Process.spawn(*words, "--port", port.to_s, "--dir", "#{FOLDER}/#{port}",
                             chdir: ROOT, %i[out err] => "#{FOLDER}/#{port}/log")
  eventually("the server at port #{port} answers") { ask(port, &:ping) == "PONG" }
end

def ask(port)
  redis = Redis.new(port: port)
  yield redis
rescue Redis::BaseError
  nil
ensure
  redis&.close
end

def end_all
  PIDS.each_value { |pid| Process.kill(:KILL, pid) rescue Errno::ESRCH }
  system("rm", "-rf", FOLDER)
end

at_exit { end_all }
trap(:TERM) { end_all; exit!(1) }

# Writes numbers one after the other, each until it is acknowledged: who gets an error tries at the other server.
class Writer
  attr_reader :count, :port

  def initialize(name)
    @name = name
    @count = 0
    @port = REDIS
    @thread = Thread.new { write until @done }
  end

  def finish
    @done = true
    @thread.join
  end

  def key(number) = "#{@name}:#{number}"

  private

  def write
    @redis ||= Redis.new(port: @port, reconnect_attempts: 0)
    @redis.set(key(@count), @count)
    @count += 1
  rescue Redis::BaseError
    @redis.close
    @redis = nil
    @port = @port == REDIS ? TRIVET : REDIS
  end
end

# The writers that go on at this port for a while.
def all_write_at(port, writers)
  writers.each do |writer|
    before = writer.count
    eventually("a writer at port #{port}") { writer.port == port && writer.count >= before + ENOUGH }
  end
end

def run(commands)
  output, status = Open3.capture2e("bash", "-euo", "pipefail", "-c", commands)
  raise "#{commands}\n#{output}" unless status.success? && output.lines.all?("OK\n")
end

def info(port) = ask(port, &:info) || {}

# `old` follows, and has come as far.
def follows?(old, new)
  info(old).values_at("role", "master_port", "master_link_status") == ["slave", new.to_s, "up"] &&
    info(old)["master_repl_offset"] == info(new)["master_repl_offset"]
end

def move(commands, old, new, writers)
  all_write_at(old, writers)
  run(with_ports(commands, old, new))
  all_write_at(new, writers)
  equal "master", info(new)["role"]
  eventually("the old server follows") { info(old).values_at("role", "master_link_status") == %w[slave up] }
end

spawn_server(REDIS, "redis-server", "--save", "", "--repl-diskless-sync-delay", "0")
ask(REDIS) do |redis|
  redis.mapped_hmset("hash", "a" => 1, "b" => "\xFF\0")
  redis.zadd("zset", [[1, "one"], [2.5, "two"]])
  redis.xadd("stream", { "field" => "value" })
  redis.set("expires", "v", ex: 10_000)
end
writers = Array.new(WRITERS) { |i| Writer.new("writer-#{i}") }

check "Trivet becomes a replica of a Redis that is written to" do
  words = with_ports(START, REDIS, TRIVET).split
  equal "trivet-server", words.shift
  words[words.index("--dir"), 2] = []
  spawn_server(TRIVET, ENV.fetch("TRIVET_SERVER"), *words, "--repl-diskless-sync-delay", "0")
end

check "step by step to Trivet, and back" do
  move(STEP_BY_STEP, REDIS, TRIVET, writers)
  move(STEP_BY_STEP, TRIVET, REDIS, writers)
end

check "by one command to Trivet, and back" do
  move(AT_ONCE, REDIS, TRIVET, writers)
  move(AT_ONCE, TRIVET, REDIS, writers)
end

check "nothing that was acknowledged is lost, and both have the same" do
  writers.each(&:finish)
  eventually("Trivet has all of it") { follows?(TRIVET, REDIS) }
  [REDIS, TRIVET].each do |port|
    writers.each do |writer|
      found = ask(port) { |redis| redis.mget(*Array.new(writer.count) { |i| writer.key(i) }) }
      lost = found.each_index.reject { |number| found[number] == number.to_s }
      equal [], lost
    end
    equal "2.5", ask(port) { |redis| redis.zscore("zset", "two").to_s }
    equal 1, ask(port) { |redis| redis.xlen("stream") }
    holds "an expiry", ask(port) { |redis| redis.ttl("expires").positive? }
  end
end
