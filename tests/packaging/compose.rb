#!/usr/bin/env ruby
# compose.rb: reads compose files, without Docker.
#
#   compose.rb lint FILE             looks for what a service should not do; one line for each finding
#   compose.rb services FILE         the names of the services that run the image
#   compose.rb start FILE SERVICE    what containers.sh's `start` needs to start it: options, "--", command, with a zero
#                                    byte after each word. A secret is $SECRETS/<its name>, a volume is $VOLUMES/<its name>
#   compose.rb health FILE SERVICE   its health check, in the same form
require "shellwords"
require "yaml"

ROOT = File.expand_path("../..", __dir__)

# Compose makes $ of $$.
def plain(text) = text.gsub("$$", "$")

def words_of(command) = command.is_a?(Array) ? command.map { |w| plain(w) } : plain(command).shellsplit

def ours(file) = file.fetch("services").select { |_, s| s["image"] == "trivet" }

# ---- starting ----

def tmpfs_options(service) = Array(service["tmpfs"]).flat_map { |t| ["--tmpfs", t] }

def volume_options(service)
  Array(service["volumes"]).flat_map { |v| ["--bind", v.sub(/\A/, "#{ENV.fetch('VOLUMES')}/")] }
end

def secret_options(service)
  Array(service["secrets"]).flat_map { |s| ["--bind", "#{ENV.fetch('SECRETS')}/#{s}:/run/secrets/#{s}:ro"] }
end

def privilege_options(service)
  dropped = service["cap_drop"] == ["ALL"]
  [*("--read-only" if service["read_only"]), *("--cap-drop-all" if dropped),
   *("--no-new-privileges" if Array(service["security_opt"]).include?("no-new-privileges:true")),
   *Array(service["cap_add"]).flat_map { |c| ["--cap-add", c.downcase] }]
end

def start_words(service)
  environment = service.fetch("environment", {}).flat_map { |name, value| ["--env", "#{name}=#{value}"] }
  [*privilege_options(service), *secret_options(service), *volume_options(service), *tmpfs_options(service), *environment, "--",
   *words_of(service["entrypoint"] || service.fetch("command"))]
end

def health_words(service)
  kind, *words = service.fetch("healthcheck").fetch("test")
  kind == "CMD" ? words.map { |w| plain(w) } : ["/bin/sh", "-c", plain(words.first)]
end

# ---- looking for mistakes ----

def names(list) = Array(list).map { |v| v.is_a?(Hash) ? v["source"] : v[/\A[^:]*/] }

# Each rule gets a service and the whole file, and says whether the service breaks it.
RULES = {
  "nobody but this host can reach a published port" => lambda { |s, _|
    Array(s["ports"]).any? { |port| !port.to_s.start_with?("127.0.0.1:") }
  },
  "every secret is declared" => ->(s, f) { !(names(s["secrets"]) - f.fetch("secrets", {}).keys).empty? },
  "every volume with a name is declared" => lambda { |s, f|
    !(names(s["volumes"]).reject { |v| v.start_with?(".", "/") } - f.fetch("volumes", {}).keys).empty?
  },
  "no password stands in the file" => lambda { |s, _|
    text = [*words_of(s["command"] || s["entrypoint"] || ""), *s.fetch("environment", {}).map { |n, v| "#{n}=#{v}" }].join(" ")
    text =~ /(requirepass|_PASSWORD=) *["']?(?![$"'])[a-z0-9]/i && text !~ /requirepass-file/
  },
  "it comes back after a crash" => ->(s, _) { !%w[always unless-stopped on-failure].include?(s["restart"]) },
}.freeze

# And these of services that run the image.
RULES_OF_OURS = {
  "it has a password" => lambda { |s, _|
    words_of(s["command"] || s["entrypoint"] || "").join(" ") !~ /requirepass(-file)?[ "]/ &&
      s.fetch("environment", {}).keys.none? { |n| n =~ /_PASSWORD(_FILE)?\z/ }
  },
  "health is checked in exec form, with interval and timeout" => lambda { |s, _|
    check = s.fetch("healthcheck", {})
    Array(check["test"]).first != "CMD" || !check["interval"] || !check["timeout"]
  },
  "secrets that the command or the check names are mounted" => lambda { |s, _|
    text = [s["command"], s["entrypoint"], s.dig("healthcheck", "test")].flatten.join(" ")
    !(text.scan(%r{/run/secrets/(\w+)}).flatten - names(s["secrets"])).empty?
  },
  "what the append-only file needs outlives the container" => lambda { |s, _|
    words_of(s["command"] || s["entrypoint"] || "").join(" ") =~ /session\.conf|appendonly yes/ &&
      Array(s["volumes"]).none? { |v| v =~ %r{\A[a-z]\S*:/data\z} }
  },
  "it is built from this repository" => lambda { |s, _|
    s.dig("build", "dockerfile") != "packaging/Dockerfile"
  },
  "a shell makes room for the server" => lambda { |s, _|
    command = words_of(s["command"] || "")
    command.first == "sh" && command[2] !~ /\Aexec /
  },
}.freeze

def findings(file, path)
  broken = file.fetch("services").flat_map do |name, service|
    rules = service["image"] == "trivet" ? RULES.merge(RULES_OF_OURS) : RULES
    rules.select { |_, rule| rule.call(service, file) }.keys.map { |rule| "#{name}: #{rule}" }
  end
  broken << "no service runs the image" if ours(file).empty?
  ignored = File.readlines("#{ROOT}/.gitignore", chomp: true).map { |line| line.delete_prefix("/").delete_suffix("/") }
  file.fetch("secrets", {}).each do |name, secret|
    place = File.expand_path(secret.fetch("file"), File.dirname(path)).delete_prefix("#{ROOT}/")
    broken << "#{name}: git would take the secret in" unless ignored.include?(place.split("/").first)
  end
  broken
end

# ---- which of it ----

command, path, name = ARGV
begin
  file = YAML.load_file(path, aliases: true)
  case command
  when "lint"
    list = findings(file, ENV.fetch("COMPOSE_PATH", path))
    puts list
    exit list.empty?
  when "services" then puts ours(file).keys
  when "start" then print(*start_words(ours(file).fetch(name)).map { |word| "#{word}\0" })
  when "health" then print(*health_words(ours(file).fetch(name)).map { |word| "#{word}\0" })
  else raise "there are lint, services, start and health, not '#{command}'"
  end
rescue StandardError => e
  warn "compose.rb: #{path}: #{e.message}"
  exit 1
end
