# sidekiq.rb: the real Sidekiq, in processes of its own as in production, against the session instance: its jobs,
# scheduled, retry and dead sets, its script, its heartbeat; and the same while the instance ends and comes back.
#
# What must hold: a job whose enqueuing was answered runs exactly once, whatever becomes of the server, with one
# exception. Sidekiq takes a job by BRPOP, which removes it: when the server is killed between the removal and the
# answer, that job is lost with its answer, at most one for each thread that fetches. So the exact checks kill the
# server while every thread is at work, and the one that kills it while they fetch allows for that many. A job whose
# enqueuing got no answer may run or not, but not twice.
require_relative "checks"
require "sidekiq/api"

ENV["SIDEKIQ_RECORD"] = File.join(ENV.fetch("CLIENTS_DIR"), "sidekiq.record")
ENV["SIDEKIQ_GATE"] = File.join(ENV.fetch("CLIENTS_DIR"), "sidekiq.gate")
JOBS = File.expand_path("sidekiq_jobs.rb", __dir__)
require_relative "sidekiq_jobs"

URL = ENV.fetch("SESSION_URL")
INSTANCE = File.expand_path("../instance", __dir__)
LOG = File.join(ENV.fetch("CLIENTS_DIR"), "sidekiq.log")
PROCESS_THREADS = 5
File.write(RECORD, "")

# A connection never repeats a command here: what was not answered does not count as enqueued.
def new_connections = Sidekiq.redis = { url: URL, size: 10, pool_timeout: 30, reconnect_attempts: 0 }

new_connections
Sidekiq.logger.level = Logger::WARN
redis = Redis.new(url: URL, reconnect_attempts: 3)

# ---- processes of Sidekiq ----

Child = Struct.new(:pid, :lifeline)
CHILDREN = []

def start_sidekiq
  input, lifeline = IO.pipe
  environment = { "REDIS_URL" => URL, "RUBYOPT" => "-W0" }
  pid = Process.spawn(environment, "sidekiq", "-r", JOBS, "-c", PROCESS_THREADS.to_s, "-t", "1", "-q", "critical,2",
                      "-q", "default,1", in: input, out: [LOG, "a"], err: [:child, :out])
  input.close
  Child.new(pid, lifeline).tap { |child| CHILDREN << child }
end

# Waits for the end of a process that was told to end, which must be in order.
def await_end(child)
  _, status = Process.wait2(child.pid)
  CHILDREN.delete(child)
  child.lifeline.close
  equal 0, status.exitstatus
end

# Runs before the summary, which was registered earlier. Should this program be killed itself, the processes end by
# their lifelines.
at_exit do
  CHILDREN.each do |child|
    Process.kill(:KILL, child.pid)
    Process.wait(child.pid)
  end
  $stderr.puts("The end of Sidekiq's log:", File.readlines(LOG).last(30)) if Checks.failed.any? && File.exist?(LOG)
end

# ---- what the jobs did ----

NUMBERS = Queue.new
(1..100_000).each { |n| NUMBERS << n }
def number = NUMBERS.pop(true)
def numbers(count) = Array.new(count) { number }

# [word, number, further words] of every line.
def lines
  File.readlines(RECORD, chomp: true).map do |line|
    word, n, *rest = line.split
    [word, n.to_i, *rest]
  end
end

def numbers_of(word) = lines.filter_map { |kind, n| n if kind == word }
def open_gate = File.write(GATE, "")
def close_gate = File.exist?(GATE) && File.delete(GATE)

def await_done(wanted)
  eventually("#{wanted.size} jobs are done") { (wanted - numbers_of("done")).empty? }
end

# Every job of these is done, and once only.
def done_once(wanted)
  await_done(wanted)
  equal [], wanted & numbers_of("done").tally.select { |_, times| times > 1 }.keys
end

# Occupies every thread of the running processes: what was fetched earlier is over then.
def occupy(threads)
  close_gate
  waiting = numbers(threads)
  waiting.each { |n| Waiting.perform_async(n) }
  eventually("every thread waits") { (waiting - numbers_of("started")).empty? }
  waiting
end

# ---- enqueuing while the server comes and goes ----

def start_server
  holds "started again", system(INSTANCE, "start", "session")
  new_connections # the old ones would fail once each
end

# Enqueues in threads until told to stop; knows what was answered.
class Enqueuers
  attr_reader :answered, :unanswered

  def initialize(count)
    @answered = []
    @unanswered = []
    @lock = Mutex.new
    @running = true
    @threads = Array.new(count) { Thread.new { enqueue while @running } }
  end

  def size = @lock.synchronize { @answered.size }

  def stop
    @running = false
    @threads.each(&:join)
  end

  private

  def enqueue
    n = number
    Plain.perform_async(n)
    @lock.synchronize { @answered << n }
  rescue Redis::BaseError => e
    raise unless e.is_a?(Redis::BaseConnectionError) || e.message.start_with?("LOADING")

    @lock.synchronize { @unanswered << n }
    sleep 0.01 # not as fast as it can while nobody listens
  end
end

# Ends the server by the block while every thread of Sidekiq is at work and others enqueue; the jobs at work end while
# there is no server.
def outage
  busy = occupy(PROCESS_THREADS)
  enqueuers = Enqueuers.new(3)
  eventually("jobs are enqueued") { enqueuers.size > 200 }
  yield
  open_gate
  await_done(busy)
  start_server
  before = enqueuers.size
  eventually("jobs are enqueued again") { enqueuers.size > before + 200 }
  enqueuers.stop
  done_once(enqueuers.answered + busy)
  equal busy.size, numbers_of("started").count { |n| busy.include?(n) }
  occupy(PROCESS_THREADS).then { |barrier| open_gate && await_done(barrier) }
  done = numbers_of("done").tally
  holds "nothing ran twice", (enqueuers.answered + enqueuers.unanswered).none? { |n| done.fetch(n, 0) > 1 }
  holds "an enqueuer met the outage", enqueuers.unanswered.any?
end

# ---- the checks ----

redis.flushall

check "processes report themselves" do
  2.times { start_sidekiq }
  eventually("both beat") { Sidekiq::ProcessSet.new.count == 2 }
  Sidekiq::ProcessSet.new.each do |process|
    holds "one of ours", CHILDREN.map(&:pid).include?(process["pid"])
    equal [PROCESS_THREADS, %w[critical default]], [process["concurrency"], process["queues"].sort]
    holds "it lives some time", redis.ttl(process.identity).between?(1, 60)
  end
end

check "jobs of both queues, enqueued singly and in bulk by several threads, run once each" do
  singles = Array.new(4) { numbers(100) }
  threads = singles.map { |mine| Thread.new { mine.each { |n| (n.odd? ? Plain : Urgent).perform_async(n) } } }
  bulk = numbers(600)
  equal 600, Sidekiq::Client.push_bulk("class" => "Plain", "args" => bulk.map { |n| [n] }).uniq.size
  threads.each(&:join)
  done_once(singles.flatten + bulk)
  equal %w[critical default], Sidekiq::Queue.all.map(&:name).sort
  equal [0, 0], Sidekiq::Queue.all.map(&:size)
end

check "scheduled jobs run at their time, once though two processes look for them" do
  later = number
  far = Timed.perform_in(3600, later, 0)
  due = Time.now.to_f + 0.5
  wanted = numbers(100)
  wanted.each_with_index { |n, i| Timed.perform_at(due + i * 0.005, n, due + i * 0.005) }
  done_once(wanted)
  late = lines.filter_map { |word, n, by| by.to_f if word == "done" && wanted.include?(n) }
  holds "none ran before its time: #{late.min}", late.min >= 0
  equal [far], Sidekiq::ScheduledSet.new.map(&:jid)
  holds "deleted", Sidekiq::ScheduledSet.new.find_job(far).delete
  equal 0, Sidekiq::ScheduledSet.new.size
end

check "failing jobs wait in the retry set with their error, and succeed in the end" do
  wanted = numbers(5)
  wanted.each { |n| Failing.perform_async(n, 2) }
  2.times do |round|
    eventually("all have failed") { Sidekiq::RetrySet.new.count { |job| job["retry_count"] == round } == 5 }
    Sidekiq::RetrySet.new.each do |job|
      equal ["ArgumentError", "no. #{job.args[0]}: žluť"], [job["error_class"], job["error_message"]]
      holds "a backtrace", job.error_backtrace[0].include?("sidekiq_jobs.rb")
      # Sidekiq adds up to ten or twenty seconds by chance.
      holds "in its time", (job.at - Time.now).between?(-30, 31)
      job.reschedule(Time.now)
    end
  end
  done_once(wanted)
  equal 15, (numbers_of("tried") & wanted).size * 3
  equal [3], numbers_of("tried").tally.values_at(*wanted).uniq
  equal 0, Sidekiq::RetrySet.new.size
end

check "jobs without tries left go to the dead set, from where they can be run again" do
  close_gate
  wanted = numbers(5)
  wanted.each { |n| Doomed.perform_async(n) }
  eventually("all are dead") { Sidekiq::DeadSet.new.size == 5 }
  equal wanted.sort, Sidekiq::DeadSet.new.map { |job| job.args[0] }.sort
  equal ["KeyError"], Sidekiq::DeadSet.new.map { |job| job["error_class"] }.uniq
  equal [], numbers_of("done") & wanted
  open_gate
  Sidekiq::DeadSet.new.retry_all
  done_once(wanted)
  equal 0, Sidekiq::DeadSet.new.size
end

check "processes that are told to end push the jobs at work back, and count what they did" do
  busy = occupy(2 * PROCESS_THREADS)
  eventually("the jobs at work show") { Sidekiq::Workers.new.map { |_, _, work| work["payload"] }.size == busy.size }
  CHILDREN.each { |child| Process.kill(:TERM, child.pid) }
  CHILDREN.dup.each { |child| await_end(child) }
  equal busy.sort, Sidekiq::Queue.new.map { |job| job.args[0] }.sort
  equal 0, Sidekiq::ProcessSet.new.size
  # Those done, the failures: ten before a retry, five deaths, the ten that were interrupted.
  failures = 10 + 5 + busy.size
  equal [lines.count { |word,| word == "done" } + failures, failures],
        [Sidekiq::Stats.new.processed, Sidekiq::Stats.new.failed]
  start_sidekiq
  open_gate
  done_once(busy)
  equal [2], numbers_of("started").tally.values_at(*busy).uniq
end

SCHEDULED = numbers(50)

check "the server ends in order while jobs run and are enqueued: each runs once" do
  SCHEDULED.each { |n| Timed.perform_in(3600, n, 0) }
  outage { holds "stopped", system(INSTANCE, "stop", "session") }
end

check "the server is killed while jobs run and are enqueued: each runs once" do
  outage { holds "killed", system(INSTANCE, "kill", "session") }
end

check "the server is killed while threads fetch: none runs twice, at most one a thread is lost" do
  barrier = occupy(PROCESS_THREADS)
  wanted = numbers(4000)
  wanted.each_slice(1000) { |some| Sidekiq::Client.push_bulk("class" => "Plain", "args" => some.map { |n| [n] }) }
  open_gate
  eventually("some are done") { numbers_of("done").include?(wanted[200]) }
  holds "killed", system(INSTANCE, "kill", "session")
  early = (numbers_of("done") & wanted).size
  start_server
  eventually("the queue is empty") { Sidekiq::Queue.new.size.zero? }
  barrier += occupy(PROCESS_THREADS)
  done = numbers_of("done").tally
  lost = wanted - done.keys
  holds "the kill was in the middle: after #{early}", early < wanted.size
  holds "lost #{lost.size}", lost.size <= PROCESS_THREADS
  equal [1], (done.keys & wanted).map { |n| done[n] }.uniq
  open_gate
  done_once(barrier)
end

# Starting again emptied the server of scripts, so the poller's EVALSHA fails once with NOSCRIPT.
check "the scheduled jobs outlived it all, and the poller loads its script again" do
  equal SCHEDULED, Sidekiq::ScheduledSet.new.map { |job| job.args[0] }.sort
  Sidekiq::ScheduledSet.new.each { |job| job.reschedule(Time.now) }
  done_once(SCHEDULED)
  equal 0, Sidekiq::ScheduledSet.new.size
end

check "a process ends when it is told so through the server, and no job ever ran twice" do
  Sidekiq::ProcessSet.new.each(&:stop!)
  await_end(CHILDREN.first)
  equal 0, Sidekiq::ProcessSet.new.size
  equal 0, Sidekiq::Queue.new.size
  equal [1], numbers_of("done").tally.values.uniq
end

redis.flushall
redis.close
