# compose.rb: packaging/compose-sentinel.yaml without containers: what it starts in them is started here, each service at
# a loopback address of its own and with a folder for what it would have mounted. The group forms, fails over when the
# primary is killed, and takes it back when it is started again by the same words.
require_relative "checks"
require "fileutils"
require "redis"
require "socket"
require "tmpdir"
require "yaml"

ROOT = File.expand_path("../../..", __dir__)
SERVERS = %w[session-1 session-2 session-3].freeze
SENTINELS = %w[sentinel-1 sentinel-2 sentinel-3].freeze
SERVICES = YAML.load_file("#{ROOT}/packaging/compose-sentinel.yaml", aliases: true).fetch("services")
ADDRESSES = (SERVERS + SENTINELS).each_with_index.to_h { |name, i| [name, "127.0.0.#{i + 2}"] }.freeze
PASSWORD = "secret"

def random_port
  port = rand(10_000..32_000)
  ADDRESSES.each_value { |address| TCPServer.new(address, port).close }
  port
rescue Errno::EADDRINUSE
  retry
end

# The servers share a port, as they do in containers; Sentinels listen at every address, so each has its own.
SERVER_PORT = random_port
SENTINEL_PORTS = SENTINELS.to_h { |name| [name, random_port] }.freeze
FOLDER = Dir.mktmpdir("compose-", ENV["CLIENTS_DIR"])
PIDS = {}

def end_all
  PIDS.each_value { |pid| Process.kill(:KILL, pid) rescue Errno::ESRCH }
  FileUtils.rm_rf(FOLDER)
end

at_exit { end_all }
trap(:TERM) { end_all; exit!(1) }

# What stands in a container at each of these paths.
def mounts(name)
  { "/data" => "#{FOLDER}/#{name}", "/etc/trivet" => "#{FOLDER}/etc", "/run/secrets/password" => "#{FOLDER}/password",
    "/etc/sentinel.conf" => "#{FOLDER}/#{name}.conf" }
end

def write_mounts
  FileUtils.mkdir("#{FOLDER}/etc")
  File.write("#{FOLDER}/password", "#{PASSWORD}\n")
  conf = File.read("#{ROOT}/conf/session.conf").sub(/^port 6381$/, "port #{SERVER_PORT}") # the image's has 6379
  File.write("#{FOLDER}/etc/session.conf", conf)
  SENTINEL_PORTS.each do |name, port|
    conf = File.read("#{ROOT}/conf/sentinel.conf").sub(/^port 26379$/, "port #{port}")
    File.write("#{FOLDER}/#{name}.conf", conf.sub(/^(sentinel failover-timeout sessions) .*/, '\1 5000'))
  end
end

# Compose makes $ of $$; names are resolved by the network's DNS. In one pass: what is put in is not looked at again.
def translate(text, name)
  here = { "$$" => "$", "6379" => SERVER_PORT.to_s, "0.0.0.0" => ADDRESSES.fetch(name),
           "trivet-server" => ENV.fetch("TRIVET_SERVER") }.merge(mounts(name))
  text.gsub(Regexp.union(here.keys), here)
end

def start(name)
  service = SERVICES.fetch(name)
  FileUtils.mkdir_p("#{FOLDER}/#{name}")
  environment = service.fetch("environment").transform_values { |value| ADDRESSES.fetch(value) }
  words = service.fetch("entrypoint").map { |word| translate(word, name) }
  PIDS[name] = Process.spawn(environment, *words, %i[out err] => ["#{FOLDER}/#{name}.log", "a"])
end

# A sanitizer's report, or the last lines.
def log_of(name)
  lines = File.readlines("#{FOLDER}/#{name}.log")
  at = lines.index { |line| line.include?("Sanitizer") }
  (at ? lines[at, 50] : lines.last(10)).join
end

def stop(name)
  Process.kill(:TERM, PIDS[name])
  status = Process.wait2(PIDS.delete(name))[1].exitstatus
  raise "#{name} ended with status #{status}:\n#{log_of(name)}" unless status == 0
end

def server(name) = Redis.new(host: ADDRESSES.fetch(name), port: SERVER_PORT, password: PASSWORD)

def sentinel(name) = Redis.new(host: ADDRESSES.fetch(name), port: SENTINEL_PORTS.fetch(name))

def ask(redis)
  yield redis
rescue Redis::BaseError
  nil
ensure
  redis.close
end

def role(name) = ask(server(name)) { |redis| redis.info["role"] }

def primary(name)
  address = ask(sentinel(name)) { |redis| redis.sentinel("get-master-addr-by-name", "sessions").first }
  ADDRESSES.key(address)
end

def look_often(name)
  periods = { "info-period" => 1000, "publish-period" => 400, "ask-period" => 200, "tilt-trigger" => 60_000 }
  ask(sentinel(name)) { |redis| redis.sentinel("debug", *periods.to_a.flatten) }
end

# A Sentinel that knows the two others and two replicas whose links are up.
def content?(name)
  ask(sentinel(name)) do |redis|
    links = redis.sentinel("replicas", "sessions").map { |replica| replica["master-link-status"] }
    redis.sentinel("sentinels", "sessions").size == 2 && links == %w[ok ok]
  end
end

def follows?(name, leader)
  ask(server(name)) do |redis|
    info = redis.info
    info["master_host"] == ADDRESSES.fetch(leader) && info["master_link_status"] == "up"
  end
end

write_mounts

check "the services of the file form a group" do
  equal SERVERS + SENTINELS, SERVICES.keys
  SERVERS.each { |name| start(name) }
  eventually("a primary") { role("session-1") == "master" }
  SERVERS.drop(1).each { |name| eventually("#{name} follows") { follows?(name, "session-1") } }
  SENTINELS.each { |name| start(name) }
  SENTINELS.each { |name| eventually("#{name} looks oftener") { look_often(name) } }
  SENTINELS.each { |name| eventually("#{name} knows all") { content?(name) } }
  equal 2, ask(server("session-1")) { |redis| redis.set("k", "v") && redis.call([:wait, 2, 10_000]) }
end

check "the primary's end is noticed, and it comes back as a replica by its own conf file" do
  Process.kill(:KILL, PIDS.fetch("session-1"))
  Process.wait(PIDS.delete("session-1"))
  now = eventually("all Sentinels name another") do
    named = SENTINELS.map { |name| primary(name) }.uniq
    named.first if named.size == 1 && named.first != "session-1"
  end
  eventually("it says so") { role(now) == "master" }
  start("session-1")
  eventually("the old one follows") { follows?("session-1", now) }
  stop("session-1")
  start("session-1")
  eventually("it follows from its start") { follows?("session-1", now) }
  equal "v", ask(server("session-1")) { |redis| redis.get("k") }
end

check "all of them end cleanly" do
  (SENTINELS + SERVERS).each { |name| stop(name) }
end
