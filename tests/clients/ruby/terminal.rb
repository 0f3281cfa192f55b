# terminal.rb: redis-cli at a terminal, as a person uses it: it asks for COMMAND DOCS before its first prompt and
# shows hints while one types.
require_relative "checks"
require "pty"
require "expect"
require "io/console"

PORT = ENV.fetch("CACHE_PORT")

# Runs redis-cli in a terminal; the block gets a function that types a line and returns the output up to the prompt.
def session(*options)
  PTY.spawn({ "TERM" => "xterm", "HOME" => ENV.fetch("CLIENTS_DIR") }, "redis-cli", "-p", PORT, *options) do |output, input, pid|
    output.winsize = [24, 200] # with an unknown width redis-cli would ask the terminal, which is not there
    output.expect(/> /, PATIENCE) or raise "no prompt"
    yield lambda { |line|
      input.write(line, "\r")
      output.expect(/\r\n(.*?)\r?\n?127\.0\.0\.1:\d+(\[\d+\])?(\(TX\))?(\(subscribed mode\))?> /m, PATIENCE)&.at(1) or
        raise "no answer to #{line}"
    }
    input.write("quit\r")
    Process.wait(pid)
  end
end

PATIENCE = 30

check "commands, hints and errors" do
  session do |type|
    holds "SET", type.call("set tty value").include?("OK")
    holds "GET", type.call("get tty").include?('"value"')
    holds "an error", type.call("nosuch").include?("ERR unknown command 'nosuch'")
    holds "a number", type.call("incr tty:n").include?("(integer) 1")
    holds "nil", type.call("get none").include?("(nil)")
    type.call("del tty tty:n")
  end
end

check "databases and transactions show in the prompt" do
  session do |type|
    holds "SELECT", type.call("select 2").include?("OK")
    holds "MULTI", type.call("multi").include?("OK")
    holds "QUEUED", type.call("ping").include?("QUEUED")
    holds "EXEC", type.call("exec").include?("PONG")
  end
end

check "RESP3" do
  session("-3") { |type| holds "a map", type.call("hello").include?('"proto" => (integer) 3') }
end
