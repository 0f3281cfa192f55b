# scripts.rb: Lua scripts and functions through redis-rb, in the ways that gems use them.
require_relative "checks"
require "digest"
require "json"
require "redis"
require "securerandom"

URL = ENV.fetch("CACHE_URL")
redis = Redis.new(url: URL)
redis.flushall
redis.script(:flush)

# What redis-rb's lock, throttle and queue gems have in common: the digest first, the source when it is not known.
class Script
  attr_reader :digest, :sent

  def initialize(source)
    @source = source
    @digest = Digest::SHA1.hexdigest(source)
    @sent = 0
  end

  def call(redis, keys: [], argv: [])
    redis.evalsha(@digest, keys, argv)
  rescue Redis::CommandError => e
    raise unless e.message.start_with?("NOSCRIPT")

    @sent += 1
    redis.eval(@source, keys, argv)
  end
end

# A lock as Redlock takes and frees it.
LOCK = Script.new(<<~LUA)
  if redis.call("exists", KEYS[1]) == 0 or redis.call("get", KEYS[1]) == ARGV[1] then
    return redis.call("set", KEYS[1], ARGV[1], "PX", ARGV[2])
  end
LUA
UNLOCK = Script.new(<<~LUA)
  if redis.call("get", KEYS[1]) == ARGV[1] then
    return redis.call("del", KEYS[1])
  else
    return 0
  end
LUA

LIBRARY = <<~LUA
  #!lua name=basket
  local function add(keys, args)
    local count = redis.call('HINCRBY', keys[1], args[1], args[2])
    redis.call('EXPIRE', keys[1], 1000)
    return count
  end
  redis.register_function('basket_add', add)
  redis.register_function{
    function_name = 'basket_total',
    description = 'How many things there are.',
    callback = function(keys)
      local total = 0
      for _, count in ipairs(redis.call('HVALS', keys[1])) do total = total + count end
      return total
    end,
    flags = { 'no-writes' },
  }
LUA

def pairs(flat) = flat.each_slice(2).to_h

check "eval gives keys and arguments and converts what comes back" do
  equal [%w[a b], ["x", "1"]], redis.eval("return { KEYS, ARGV }", %w[a b], ["x", 1])
  equal [%w[a], %w[x]], redis.eval("return { KEYS, ARGV }", keys: ["a"], argv: ["x"])
  equal [1, 3, "two", nil], redis.eval("return { 1, 3.99, 'two', false }")
  equal [1], redis.eval("return { 1, nil, 3 }")
  equal [1, nil], [redis.eval("return true"), redis.eval("return false")]
  equal nil, redis.eval("return nil")
  equal "fine", redis.eval("return { ok = 'fine' }")
  equal "0.1", redis.eval("return tostring(0.1)")
  equal [[[["deep"]]]], redis.eval("return {{{{'deep'}}}}")
  bytes = "a\0b\r\n\xFF".b
  equal bytes, redis.eval("return ARGV[1]", [], [bytes]).b
  equal 3_000_000, redis.eval("return #ARGV[1]", [], ["x" * 3_000_000])
  equal "y" * 3_000_000, redis.eval("return string.rep('y', 3000000)")
end

check "script load, exists and flush; evalsha of what is and is not there" do
  source = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
  digest = redis.script(:load, source)
  equal Digest::SHA1.hexdigest(source), digest
  equal true, redis.script(:exists, digest)
  equal [true, false], redis.script(:exists, [digest, "0" * 40])
  equal 5, redis.evalsha(digest, ["n"], [5])
  equal 7, redis.evalsha(digest.upcase, keys: ["n"], argv: [2])
  equal "OK", redis.script(:flush)
  equal false, redis.script(:exists, digest)
  raises(Redis::CommandError, /\ANOSCRIPT No matching script\./) { redis.evalsha(digest, ["n"]) }
  equal 8, redis.eval(source, ["n"], [1])
  equal 9, redis.evalsha(digest, ["n"], [1])
  equal "9", redis.get("n")
end

check "a lock is taken, prolonged and freed by its owner only, the source sent once" do
  redis.script(:flush)
  mine, other = Array.new(2) { SecureRandom.hex }
  equal "OK", LOCK.call(redis, keys: ["lock"], argv: [mine, 60_000])
  equal nil, LOCK.call(redis, keys: ["lock"], argv: [other, 60_000])
  equal "OK", LOCK.call(redis, keys: ["lock"], argv: [mine, 600_000])
  holds "prolonged", redis.pttl("lock").between?(60_001, 600_000)
  equal 0, UNLOCK.call(redis, keys: ["lock"], argv: [other])
  equal mine, redis.get("lock")
  equal 1, UNLOCK.call(redis, keys: ["lock"], argv: [mine])
  equal 0, UNLOCK.call(redis, keys: ["lock"], argv: [mine])
  equal "OK", LOCK.call(redis, keys: ["lock"], argv: [other, 10])
  eventually("the lock runs out") { LOCK.call(redis, keys: ["lock"], argv: [mine, 60_000]) }
  equal [1, 1], [LOCK.sent, UNLOCK.sent]
end

check "the lock keeps eight threads apart, though the scripts are flushed meanwhile" do
  redis.set("shared", 0)
  redis.del("lock")
  threads = Array.new(8) do
    Thread.new do
      client = Redis.new(url: URL)
      token = SecureRandom.hex
      20.times do
        eventually("the lock is free") { LOCK.call(client, keys: ["lock"], argv: [token, 60_000]) }
        client.set("shared", client.get("shared").to_i + 1) # loses counts unless one at a time does it
        equal 1, UNLOCK.call(client, keys: ["lock"], argv: [token])
      end
      client.close
    end
  end
  20.times { redis.script(:flush) }
  threads.each(&:join)
  equal "160", redis.get("shared")
end

check "a script is one step for all others" do
  transfer = redis.script(:load, <<~LUA)
    local from, to = KEYS[1], KEYS[2]
    if tonumber(redis.call('GET', from)) < tonumber(ARGV[1]) then return 0 end
    redis.call('DECRBY', from, ARGV[1])
    redis.call('INCRBY', to, ARGV[1])
    return 1
  LUA
  accounts = %w[account:0 account:1 account:2 account:3]
  redis.mset(accounts.flat_map { |name| [name, 1000] })
  threads = Array.new(4) do |t|
    Thread.new do
      client = Redis.new(url: URL)
      chance = Random.new(t)
      moved = Array.new(300) { client.evalsha(transfer, accounts.sample(2, random: chance), [chance.rand(1..400)]) }
      client.close
      moved.sum
    end
  end
  sums = []
  sums << redis.mget(accounts).sum(&:to_i) while threads.any?(&:alive?)
  holds "money moved", threads.sum(&:value) > 100
  equal [4000], (sums << redis.mget(accounts).sum(&:to_i)).uniq
  holds "no account is overdrawn", redis.mget(accounts).all? { |sum| sum.to_i >= 0 }
end

check "scripts in a pipeline and in MULTI" do
  redis.del("n", "k")
  add = redis.script(:load, "return redis.call('INCR', KEYS[1])")
  equal ["OK", 1, 2, "v"], redis.pipelined { |p|
    p.set("k", "v")
    p.evalsha(add, ["n"])
    p.eval("return redis.call('INCR', KEYS[1])", ["n"])
    p.eval("return redis.call('GET', KEYS[1])", ["k"])
  }
  equal (3..1002).to_a, redis.pipelined { |p| 1000.times { p.evalsha(add, ["n"]) } }
  equal [1003, "1003", true], redis.multi { |m|
    m.evalsha(add, ["n"])
    m.eval("return redis.call('GET', KEYS[1])", ["n"])
    m.script(:exists, add)
  }
  unknown = "f" * 40
  raises(Redis::CommandError, /\ANOSCRIPT/) { redis.multi { |m| m.incr("n"); m.evalsha(unknown, ["n"]); m.incr("n") } }
  equal "1005", redis.get("n")
end

check "WATCH sees what a script changes" do
  redis.set("watched", 1)
  other = Redis.new(url: URL)
  result = redis.watch("watched") do |r|
    other.eval("return redis.call('SET', KEYS[1], ARGV[1])", ["watched"], [2])
    r.multi { |m| m.set("watched", 3) }
  end
  equal nil, result
  equal "2", redis.get("watched")
  other.close
end

check "a failing script raises CommandError with the server's words" do
  redis.set("text", "abc")
  {
    "return redis.call('INCR', KEYS[1])" => /not an integer or out of range/,
    "return redis.call('LPUSH', KEYS[1], 1)" => /\AWRONGTYPE Operation against a key/,
    "error('boom')" => /user_script:1: boom/,
    "return redis.error_reply('MY own words')" => /\AMY own words\z/,
    "return { err = 'MY table' }" => /\AMY table\z/,
    "return return" => /Error compiling script.*user_script:1/,
    "return nowhere" => /Script attempted to access nonexistent global variable 'nowhere'/,
    "return redis.call('NOSUCH')" => /Unknown (Redis )?command called from script/,
    "return redis.call('GET')" => /Wrong number of args calling (Redis )?command from script/,
    "return redis.call('SUBSCRIBE', 'c')" => /This Redis command is not allowed from script/,
  }.each { |source, words| raises(Redis::CommandError, words) { redis.eval(source, ["text"]) } }
  equal "not an integer", redis.eval(<<~LUA, ["text"])
    local reply = redis.pcall('INCR', KEYS[1])
    return string.match(reply.err, 'not an integer')
  LUA
  equal "abc", redis.get("text")
end

check "writes before an error stay" do
  redis.del("kept")
  raises(Redis::CommandError, /boom/) { redis.eval("redis.call('SET', KEYS[1], 1) error('boom')", ["kept"]) }
  equal "1", redis.get("kept")
end

check "a script reads and writes JSON and MessagePack, and knows digests and time" do
  job = { "id" => 7, "tags" => %w[a b], "deep" => { "x" => 1.5, "none" => nil } }
  changed = redis.eval(<<~LUA, [], [JSON.generate(job)])
    local job = cjson.decode(ARGV[1])
    job.id = job.id + 1
    table.insert(job.tags, job.deep.none == cjson.null and 'null' or 'lost')
    return cjson.encode(job)
  LUA
  equal job.merge("id" => 8, "tags" => %w[a b null]), JSON.parse(changed)
  equal [1, "two", [3]], redis.eval("return cmsgpack.unpack(cmsgpack.pack({1, 'two', {3}}))")
  equal Digest::SHA1.hexdigest("abc"), redis.eval("return redis.sha1hex('abc')")
  equal 12, redis.eval("return bit.bor(4, 8)")
  holds "the time", (redis.eval("return redis.call('TIME')")[0].to_i - Time.now.to_i).abs < 60
end

check "a sliding window of requests admits as many as it should, whoever asks" do
  limiter = Script.new(<<~LUA)
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
    local used = redis.call('ZCARD', KEYS[1])
    if used >= tonumber(ARGV[3]) then return { 0, used } end
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return { 1, used + 1 }
  LUA
  ask = ->(client, now) { limiter.call(client, keys: ["window"], argv: [now, 60_000, 25, SecureRandom.hex]) }
  threads = Array.new(5) do
    Thread.new do
      client = Redis.new(url: URL)
      Array.new(20) { ask.call(client, 1_000_000) }
    end
  end
  answers = threads.flat_map(&:value)
  equal 25, answers.sum(&:first)
  equal (1..25).to_a, answers.filter_map { |admitted, used| used if admitted == 1 }.sort
  equal [0, 25], ask.call(redis, 1_059_999)
  equal [1, 1], ask.call(redis, 1_060_000)
  holds "it runs out", redis.pttl("window").between?(1, 60_000)
end

check "functions are loaded, called, listed and deleted" do
  redis.call("FUNCTION", "FLUSH")
  equal "basket", redis.call("FUNCTION", "LOAD", LIBRARY)
  equal 2, redis.call("FCALL", "basket_add", 1, "basket:7", "apple", 2)
  equal 5, redis.call("FCALL", "basket_add", 1, "basket:7", "pear", 5)
  equal 7, redis.call("FCALL_RO", "basket_total", 1, "basket:7")
  holds "a TTL", redis.ttl("basket:7").between?(1, 1000)
  library = pairs(redis.call("FUNCTION", "LIST", "WITHCODE", "LIBRARYNAME", "bask*")[0])
  equal ["basket", "LUA", LIBRARY], library.values_at("library_name", "engine", "library_code")
  functions = library["functions"].map { |one| pairs(one) }.sort_by { |one| one["name"] }
  equal [["basket_add", nil, []], ["basket_total", "How many things there are.", ["no-writes"]]],
        functions.map { |one| one.values_at("name", "description", "flags") }
  raises(Redis::CommandError, /\AERR Library 'basket' already exists\z/) { redis.call("FUNCTION", "LOAD", LIBRARY) }
  other = LIBRARY.sub("'HINCRBY', keys[1], args[1], args[2]", "'HLEN', keys[1]")
  equal "basket", redis.call("FUNCTION", "LOAD", "REPLACE", other)
  equal 2, redis.call("FCALL", "basket_add", 1, "basket:7")
  raises(Redis::CommandError, /\AERR Can not execute a script with write flag using \*_ro command\.\z/) do
    redis.call("FCALL_RO", "basket_add", 1, "basket:7")
  end
  dump = redis.call("FUNCTION", "DUMP")
  equal "OK", redis.call("FUNCTION", "DELETE", "basket")
  raises(Redis::CommandError, /\AERR Function not found\z/) { redis.call("FCALL", "basket_total", 1, "basket:7") }
  equal "OK", redis.call("FUNCTION", "RESTORE", dump)
  equal [7, 2], redis.pipelined { |p|
    p.call("FCALL", "basket_total", 1, "basket:7")
    p.call("FCALL", "basket_add", 1, "basket:7")
  }
  equal "OK", redis.call("FUNCTION", "FLUSH")
  equal [], redis.call("FUNCTION", "LIST")
end

check "a script that does not end is reported and killed" do
  limit = redis.config(:get, "lua-time-limit")["lua-time-limit"]
  redis.config(:set, "lua-time-limit", 20)
  busy = Redis.new(url: URL, reconnect_attempts: 0)
  running = Thread.new { busy.eval("while true do end") }
  running.report_on_exception = false
  eventually("others hear that a script runs") do
    redis.ping && false
  rescue Redis::CommandError => e
    e.message.match?(/\ABUSY \w+ is busy running a script\./)
  end
  equal "OK", redis.script(:kill)
  raises(Redis::CommandError, /killed by user/i) { running.value }
  equal "PONG", redis.ping
  raises(Redis::CommandError, /\ANOTBUSY No scripts in execution right now\.\z/) { redis.script(:kill) }
ensure
  redis.config(:set, "lua-time-limit", limit)
  busy.close
end

redis.flushall
redis.script(:flush)
redis.close
