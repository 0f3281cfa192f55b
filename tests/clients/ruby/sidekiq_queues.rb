# sidekiq_queues.rb: what Sidekiq 6 sends, by redis-rb against the session instance, which keeps a journal
# as a job store must: enqueueing, fetching, the scheduled, retry and dead sets, statistics, heartbeat and
# the web page's reads. Sidekiq's own scripts are not used: where it has one, this is its older form in
# single commands.
require_relative "checks"
require "json"
require "redis"
require "securerandom"

URL = ENV.fetch("SESSION_URL")
INSTANCE = File.expand_path("../instance", __dir__)
THREADS = 5
STATS_TTL = 5 * 365 * 24 * 60 * 60
redis = Redis.new(url: URL, id: "Sidekiq-server-PID-#{$$}")

# A connection that never repeats a command: what it was not answered does not count as done.
def strict = Redis.new(url: URL, reconnect_attempts: 0)

def job(queue, number)
  { "class" => "Worker", "args" => [number], "queue" => queue, "jid" => SecureRandom.hex(12) }
end

# Sidekiq::Client#raw_push
def enqueue(redis, queue, jobs)
  redis.pipelined do |p|
    p.sadd("queues", queue)
    p.lpush("queue:#{queue}", jobs.map { |one| JSON.generate(one) })
  end
end

# Sidekiq::Scheduled::Enq: whoever removes a due job is the one to enqueue it. Returns how many it moved.
def enqueue_due(redis, set, now)
  moved = 0
  while (payload = redis.zrangebyscore(set, "-inf", now, limit: [0, 1]).first)
    next unless redis.zrem(set, payload)

    enqueue(redis, JSON.parse(payload)["queue"], [JSON.parse(payload)])
    moved += 1
  end
  moved
end

# Takes jobs as Sidekiq::BasicFetch does until the queue of stop signs, the last in its order, serves it.
def work_until_stopped(queues)
  redis = Redis.new(url: URL)
  done = []
  loop do
    name, payload = redis.brpop(*queues.shuffle, "queue:stop", timeout: 2)
    return done if name == "queue:stop"

    done << [name, JSON.parse(payload)] if name
  end
ensure
  redis.close
end

def blocked_clients(redis) = redis.info("clients")["blocked_clients"].to_i

def everything(redis, list) = redis.lrange(list, 0, -1)

check "the instance suits a job store" do
  redis.flushall
  equal "noeviction", redis.config(:get, "maxmemory-policy")["maxmemory-policy"]
  holds "a version Sidekiq accepts", redis.info["redis_version"] > "4"
  equal "Sidekiq-server-PID-#{$$}", redis.client(:getname)
end

check "jobs are enqueued in a pipeline and in bulk and fetched first in, first out" do
  redis.flushall
  equal [true, 1], enqueue(redis, "default", [job("default", 0)])
  equal [false, 1001], enqueue(redis, "default", (1..1000).map { |i| job("default", i) })
  equal ["default"], redis.smembers("queues")
  fetched = Array.new(1001) { redis.brpop("queue:default", timeout: 2) }
  equal ["queue:default"], fetched.map(&:first).uniq
  equal (0..1000).to_a, fetched.map { |_, payload| JSON.parse(payload)["args"][0] }
  equal false, redis.exists?("queue:default")
end

check "a pop of several queues takes the first that has a job, and nil when none has" do
  redis.flushall
  enqueue(redis, "low", [job("low", 1)])
  enqueue(redis, "critical", [job("critical", 2)])
  names = Array.new(2) { redis.brpop("queue:critical", "queue:default", "queue:low", timeout: 2)[0] }
  equal %w[queue:critical queue:low], names
  equal nil, redis.brpop("queue:critical", "queue:default", "queue:low", timeout: 0.05)
end

check "several threads fetch from several queues: each job once, each queue in its order" do
  redis.flushall
  queues = %w[critical default low]
  waiting = queues.map { |name| "queue:#{name}" }
  workers = Array.new(THREADS) { Thread.new { work_until_stopped(waiting) } }
  eventually("the fetchers wait") { blocked_clients(redis) == THREADS }
  sent = queues.map do |name|
    jobs = (0...600).map { |i| job(name, i) }
    client = Redis.new(url: URL)
    [Thread.new { jobs.each_slice(4) { |some| enqueue(client, name, some) } }, jobs]
  end
  sent.each { |thread, _| thread.join }
  redis.lpush("queue:stop", ["stop"] * THREADS)
  done = workers.map(&:value)
  equal sent.flat_map(&:last).map { |one| one["jid"] }.sort, done.flatten(1).map { |_, one| one["jid"] }.sort
  holds "each came from its own queue", done.flatten(1).all? { |name, one| name == "queue:#{one["queue"]}" }
  done.product(waiting).each do |mine, name|
    numbers = mine.filter_map { |from, one| one["args"][0] if from == name }
    equal numbers.sort, numbers
  end
end

check "a fetcher that dies while waiting takes no job with it" do
  redis.flushall
  dying = TCPSocket.new("127.0.0.1", ENV.fetch("SESSION_PORT"))
  dying.write("BRPOP queue:default 0\r\n")
  eventually("it waits") { blocked_clients(redis) == 1 }
  dying.close
  eventually("it is gone") { blocked_clients(redis).zero? }
  enqueue(redis, "default", [job("default", 7)])
  equal 7, JSON.parse(redis.brpop("queue:default", timeout: 2)[1])["args"][0]
end

check "a fetcher whose connection is closed waits again and gets the next job once" do
  redis.flushall
  fetcher = Redis.new(url: URL)
  id = fetcher.call([:client, :id])
  thread = Thread.new { fetcher.brpop("queue:default", timeout: 0) }
  eventually("it waits") { blocked_clients(redis) == 1 }
  equal 1, redis.call([:client, :kill, "id", id])
  enqueue(redis, "default", [job("default", 8)])
  equal 8, JSON.parse(thread.value[1])["args"][0]
  equal 0, redis.llen("queue:default")
end

check "due jobs leave the scheduled set once though several pollers look, later ones stay" do
  redis.flushall
  now = Time.now.to_f
  payloads = (0...300).map { |i| [(now - 300 + i).to_s, JSON.generate(job("default", i))] }
  equal 300, redis.zadd("schedule", payloads)
  later = JSON.generate(job("default", 999))
  equal true, redis.zadd("schedule", (now + 3600).to_s, later)
  pollers = Array.new(4) { Thread.new { enqueue_due(Redis.new(url: URL), "schedule", now.to_s) } }
  equal 300, pollers.sum(&:value)
  equal [[later, now + 3600]], redis.zrange("schedule", 0, -1, with_scores: true)
  equal payloads.map(&:last).sort, everything(redis, "queue:default").sort
end

check "a failed job waits in the retry set by its time, and can be moved, found and deleted there" do
  redis.flushall
  now = 1_700_000_000.123456
  failed = (1..5).map { |i| JSON.generate(job("default", i).merge("retry_count" => i - 1)) }
  failed.each_with_index { |payload, i| redis.zadd("retry", (now + i).to_s, payload) }
  equal failed[0..2], redis.call([:zrange, "retry", "-inf", now + 2, "byscore", "limit", 0, 100])
  equal [failed[1]], redis.zrangebyscore("retry", "(#{now}", now + 4, limit: [0, 1])
  equal [failed[3]], redis.zrangebyscore("retry", now + 3, now + 3)
  equal now + 0.5, redis.zincrby("retry", -3.5, failed[4])
  equal 1, redis.zrank("retry", failed[4])
  equal true, redis.zrem("retry", failed[0])
  equal false, redis.zrem("retry", failed[0])
  equal [failed[4], now + 0.5], redis.zpopmin("retry")
  equal 3, enqueue_due(redis, "retry", "+inf")
  equal [failed[3], failed[2], failed[1]], everything(redis, "queue:default")
end

check "the dead set keeps the newest jobs and drops old ones in the transaction that adds one" do
  redis.flushall
  burials = (1..20).map do |day|
    redis.multi do |m|
      m.zadd("dead", day.to_s, "job #{day}")
      m.zremrangebyscore("dead", "-inf", day - 15)
      m.zremrangebyrank("dead", 0, -11)
    end
  end
  equal [true, 0, 0], burials[9]
  equal [true, 0, 1], burials[10]
  equal (11..20).map { |day| "job #{day}" }, redis.zrange("dead", 0, -1)
  equal 3, redis.zremrangebyscore("dead", "-inf", "(14")
  equal %w[20 19].map { |day| ["job #{day}", day.to_f] }, redis.zrevrange("dead", 0, 1, with_scores: true)
end

check "statistics are added up by all processes, those of a day with a time to live" do
  redis.flushall
  day = "2024-02-29"
  threads = Array.new(THREADS) do
    Thread.new do
      client = Redis.new(url: URL)
      100.times do
        client.multi do |m|
          %w[processed failed].each_with_index do |name, i|
            m.incrby("stat:#{name}", 2 - i)
            m.incrby("stat:#{name}:#{day}", 2 - i)
            m.expire("stat:#{name}:#{day}", STATS_TTL)
          end
        end
      end
    end
  end
  threads.each(&:join)
  equal %w[1000 500], redis.mget("stat:processed", "stat:failed")
  equal ["1000", nil], redis.mget("stat:processed:#{day}", "stat:processed:2024-03-01")
  holds "the day's ends some time", redis.ttl("stat:failed:#{day}").between?(STATS_TTL - 60, STATS_TTL)
  equal(-1, redis.ttl("stat:failed"))
end

# Sidekiq::Launcher#heartbeat: the jobs at work, then the process itself; the last answer is a signal, if any.
def beat(redis, identity, work)
  redis.multi do |m|
    m.unlink("#{identity}:workers")
    work.each { |thread, payload| m.hset("#{identity}:workers", thread, payload) }
    m.expire("#{identity}:workers", 60)
  end
  redis.multi do |m|
    m.sadd("processes", identity)
    m.exists?(identity)
    m.hmset(identity, "info", "{}", "busy", work.size, "beat", 1.5, "quiet", "false")
    m.expire(identity, 60)
    m.rpop("#{identity}-signals")
  end
end

check "a process beats, hears a signal, and is cleared away" do
  redis.flushall
  equal [true, false, "OK", true, nil], beat(redis, "host:1:abc", "t1" => "{}", "t2" => "{}")
  redis.multi { |m| m.lpush("host:1:abc-signals", "TSTP"); m.expire("host:1:abc-signals", 60) }
  equal [false, true, "OK", true, "TSTP"], beat(redis, "host:1:abc", "t2" => "{}")
  equal({ "t2" => "{}" }, redis.hgetall("host:1:abc:workers"))
  equal ["1", "false"], redis.hmget("host:1:abc", "busy", "quiet")
  holds "both run out", %w[host:1:abc host:1:abc:workers].all? { |key| redis.ttl(key).between?(1, 60) }
  equal [1, 1, 1], redis.pipelined { |p|
    p.srem("processes", ["host:1:abc"])
    p.unlink("host:1:abc:workers")
    p.del("host:1:abc")
  }
  equal 0, redis.dbsize
end

check "a process that no longer beats is found by the cleanup, which only one may do" do
  redis.flushall
  beat(redis, "alive", {})
  beat(redis, "gone", {})
  redis.pexpireat("gone", 1)
  equal [true, false], Array.new(2) { redis.set("process_cleanup", "1", nx: true, ex: 60) }
  identities = redis.sscan_each("processes").to_a.sort
  equal %w[alive gone], identities
  beats = redis.pipelined { |p| identities.each { |key| p.hget(key, "info") } }
  dead = identities.zip(beats).filter_map { |key, info| key unless info }
  equal 1, redis.srem("processes", dead)
  equal ["alive"], redis.smembers("processes")
end

check "the web page's reads see everything" do
  redis.flushall
  enqueue(redis, "default", (0...250).map { |i| job("default", i) })
  enqueue(redis, "mailers", [job("mailers", 0)])
  retries = (0...2000).map { |i| [i, JSON.generate(job("default", i))] }
  redis.zadd("retry", retries)
  redis.incrby("stat:processed", 12)
  equal ["12", nil, 0, 2000, 0, 0], redis.pipelined { |p|
    %w[processed failed].each { |name| p.get("stat:#{name}") }
    %w[schedule retry dead].each { |name| p.zcard(name) }
    p.scard("processes")
  }
  equal({ "default" => 250, "mailers" => 1 },
        redis.sscan_each("queues").sort.to_h { |name| [name, redis.llen("queue:#{name}")] })
  pages = (0..5).map { |page| redis.lrange("queue:default", page * 50, page * 50 + 49) }
  equal [50, 50, 50, 50, 50, 0], pages.map(&:size)
  equal (0...250).to_a.reverse, pages.flatten.map { |payload| JSON.parse(payload)["args"][0] }
  equal 0, JSON.parse(redis.lrange("queue:default", -1, -1)[0])["args"][0]
  equal retries.map(&:last).sort, redis.zscan_each("retry", count: 100).map(&:first).uniq.sort
  wanted = retries[1234][1]
  jid = JSON.parse(wanted)["jid"]
  equal [[wanted, 1234.0]], redis.zscan_each("retry", match: "*#{jid}*", count: 100).to_a.uniq
  equal 1, redis.lrem("queue:default", 1, pages[2][3])
  equal [1, 1], redis.multi { |m| m.unlink("queue:default"); m.srem("queues", ["default"]) }
  equal ["mailers"], redis.smembers("queues")
end

check "a unique job is locked once, and freed by the one who holds it" do
  redis.flushall
  tokens = Array.new(10) { |i| Thread.new { i if Redis.new(url: URL).set("unique:1", i, nx: true, ex: 600) } }
  winner = tokens.filter_map(&:value)
  equal 1, winner.size
  equal winner[0].to_s, redis.get("unique:1")
  holds "it ends some time", redis.ttl("unique:1").between?(1, 600)
  equal [1, 0], Array.new(2) { redis.del("unique:1") }
  equal true, redis.set("unique:1", "next", nx: true, px: 600_000)
end

check "jobs of a dead worker go back from its private list, those at shutdown to the queue's head" do
  redis.flushall
  redis.rpush("queue:default", %w[4 3 2 1])
  equal "1", redis.brpoplpush("queue:default", "working:dead", timeout: 2)
  equal "2", redis.lmove("queue:default", "working:dead", "RIGHT", "LEFT")
  equal "3", redis.blmove("queue:default", "working:live", "RIGHT", "LEFT", timeout: 2)
  equal 1, redis.lrem("working:live", -1, "3")
  2.times { redis.lmove("working:dead", "queue:default", "LEFT", "RIGHT") }
  equal nil, redis.rpoplpush("working:dead", "queue:default")
  redis.pipelined { |p| p.rpush("queue:default", %w[6 5]) }
  equal %w[5 6 1 2 4], Array.new(5) { redis.rpop("queue:default") }
end

# Moves jobs one by one from the queue to a private list, and from there in a transaction to the set of
# the done.
def work_until_killed(name)
  client = strict
  loop do
    payload = client.lmove("queue:default", "working:#{name}", "RIGHT", "LEFT") or next
    client.multi { |m| m.lrem("working:#{name}", -1, payload); m.sadd("done", payload) }
  end
rescue Redis::BaseConnectionError
  nil # the instance is gone: what was at work lies in the private list
end

# Enqueues until the instance is gone; returns the jobs that were acknowledged.
def enqueue_until_killed(name, accepted)
  client = strict
  mine = []
  loop do
    payload = JSON.generate(job("default", "#{name}/#{mine.size}"))
    client.multi { |m| m.sadd("queues", "default"); m.lpush("queue:default", payload) }
    mine << payload
    accepted << true
  end
rescue Redis::BaseConnectionError
  mine
end

check "a SIGKILL in the middle of work loses no acknowledged job and doubles none" do
  redis.flushall
  accepted = Queue.new
  enqueuers = Array.new(3) { |i| Thread.new { enqueue_until_killed(i, accepted) } }
  workers = Array.new(2) { |i| Thread.new { work_until_killed(i) } }
  2_000.times { accepted.pop }
  eventually("some are done") { redis.scard("done") > 100 }
  holds "killed", system(INSTANCE, "kill", "session")
  sent = enqueuers.flat_map(&:value)
  workers.each(&:join)
  holds "started again", system(INSTANCE, "start", "session")
  lists = %w[queue:default working:0 working:1]
  kept = redis.smembers("done") + lists.flat_map { |list| everything(redis, list) }
  equal [], sent - kept
  equal kept.uniq.size, kept.size
  holds "of each, at most the last is there without an answer", (kept - sent).size <= enqueuers.size
  equal ["default"], redis.smembers("queues")
end

check "jobs at work, scheduled jobs, locks and statistics come back after a SIGKILL as they were" do
  redis.flushall
  redis.zadd("schedule", (0...500).map { |i| [1_700_000_000.123456 + i, "job #{i}"] })
  redis.set("unique:1", "me", nx: true, ex: 6000)
  redis.hmset("host:1:abc", "busy", 3, "beat", 1.5)
  redis.incrby("stat:processed", 41)
  redis.lpush("queue:default", (0...100).to_a)
  50.times { redis.lmove("queue:default", "working:0", "RIGHT", "LEFT") }
  read = lambda do
    [everything(redis, "working:0"), everything(redis, "queue:default"),
     redis.zrange("schedule", 0, -1, with_scores: true), redis.call([:pexpiretime, "unique:1"]),
     redis.hgetall("host:1:abc"), redis.get("stat:processed"), redis.dbsize]
  end
  before = read.call
  equal [50, 50, 500], before.first(3).map(&:size)
  holds "killed", system(INSTANCE, "kill", "session")
  holds "started again", system(INSTANCE, "start", "session")
  equal before, read.call
end

redis.flushall
redis.close
