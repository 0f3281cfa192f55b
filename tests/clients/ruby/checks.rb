# checks.rb: the smallest test runner: named checks, all of them run, a non-zero exit status if one failed.
require "socket"
require "timeout"

module Checks
  PATIENCE = ENV.fetch("PATIENCE", 60).to_i # seconds; only a hung server is that slow

  @count = 0
  @failed = []

  class << self
    attr_reader :count, :failed

    def run(name)
      @count += 1
      Timeout.timeout(PATIENCE) { yield }
    rescue Exception => e # rubocop:disable Lint/RescueException -- a check may fail in any way
      raise if e.is_a?(Interrupt) || e.is_a?(SystemExit)

      @failed << name
      $stderr.puts "FAILED: #{name}", "  #{e.class}: #{e.message}", *Array(e.backtrace).first(5).map { |line| "    #{line}" }
    end
  end

  at_exit do
    next if $! # the script itself broke: Ruby reports it and exits with 1
    puts "#{count} checks, #{failed.size} failed"
    $stdout.flush
    exit!(failed.empty? && count.positive? ? 0 : 1)
  end
end

def check(name, &block) = Checks.run(name, &block)

def equal(expected, actual)
  raise "expected #{expected.inspect[0, 300]}, got #{actual.inspect[0, 300]}" unless expected == actual
end

def holds(what, value) = value || raise("does not hold: #{what}")

def raises(type, pattern = //)
  yield
rescue type => e
  raise "expected #{pattern.inspect}, got #{e.message.inspect}" unless pattern.match?(e.message)
else
  raise "expected a #{type}"
end

# Waits until the block is true: for what another thread or the server does in the background.
def eventually(what)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + Checks::PATIENCE / 2
  until (value = yield)
    raise "never happened: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.01
  end
  value
end
