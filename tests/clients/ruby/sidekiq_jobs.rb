# sidekiq_jobs.rb: the jobs of sidekiq.rb, which the Sidekiq processes and the suite both load.
#
# A job tells what it did by a line in the file $SIDEKIQ_RECORD, not through the server: so what was done is known
# whatever becomes of the server. A short line appended in one write is whole even when many processes do so.
require "sidekiq"

RECORD = ENV.fetch("SIDEKIQ_RECORD")
GATE = ENV.fetch("SIDEKIQ_GATE") # jobs that wait go on once this file exists

def record(*words) = File.open(RECORD, "a") { |file| file.syswrite("#{words.join(" ")}\n") }

Sidekiq.configure_server do
  Sidekiq.options[:poll_interval_average] = 0.2
  # The suite holds the other end of this pipe: however it ends, no Sidekiq is left behind.
  Thread.new do
    $stdin.read
    Process.exit!(1)
  end
end

class Plain
  include Sidekiq::Worker

  def perform(number) = record("done", number)
end

class Urgent
  include Sidekiq::Worker
  sidekiq_options queue: "critical"

  def perform(number) = record("done", number)
end

# Tells by how much it ran after its time, in seconds.
class Timed
  include Sidekiq::Worker

  def perform(number, due) = record("done", number, Time.now.to_f - due)
end

# Runs until it is let go.
class Waiting
  include Sidekiq::Worker

  def perform(number)
    record("started", number)
    sleep 0.01 until File.exist?(GATE)
    record("done", number)
  end
end

# Fails that many times. Sidekiq would wait for at least 15 seconds; with a time of one's own it is at least one.
class Failing
  include Sidekiq::Worker
  sidekiq_options retry: 5, backtrace: 2
  sidekiq_retry_in { 1 }

  def perform(number, failures)
    tries = File.readlines(RECORD).count("tried #{number}\n")
    record("tried", number)
    raise ArgumentError, "no. #{number}: žluť" if tries < failures

    record("done", number)
  end
end

# Has one try only, so that its failure is final, until it is let go.
class Doomed
  include Sidekiq::Worker
  sidekiq_options retry: 0

  def perform(number)
    raise KeyError, "doomed #{number}" unless File.exist?(GATE)

    record("done", number)
  end
end
