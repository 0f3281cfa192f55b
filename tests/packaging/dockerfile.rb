#!/usr/bin/env ruby
# dockerfile.rb: reads packaging/Dockerfile, without Docker.
#
#   dockerfile.rb build FOLDER   makes the image's file system there: each instruction is done as Docker would, in systems made
#                                by tests/packaging/chroot, so that every RUN really runs
#   dockerfile.rb lint [FILE]    looks for what an image should not do; one line for each finding
#   dockerfile.rb show NAME      what the last stage says of CMD, ENTRYPOINT, HEALTHCHECK, ... a word a line
#
# One thing is not done again: compiling. The build stage's two commands for that are replaced by installing the programs of
# $TRIVET_BUILD in the same place, unless TRIVET_IMAGE_COMPILE is set.
require "fileutils"
require "json"
require "shellwords"
require "tmpdir"

ROOT = File.expand_path("../..", __dir__)
CHROOT = "#{ROOT}/tests/packaging/chroot"
BASES = %w[debian:bookworm-slim].freeze # what tests/packaging/chroot makes
Instruction = Struct.new(:name, :text, :line)

# ---- parsing ----

# Lines that end with a backslash go on; comments may stand in between.
def parse(source)
  instructions, parts, first = [], [], nil
  source.each_line(chomp: true).with_index(1) do |line, number|
    next if line =~ /^\s*(#|$)/

    first ||= number
    parts << line.sub(/\\\s*$/, "").strip
    next if line =~ /\\\s*$/

    name, text = parts.join(" ").split(" ", 2)
    instructions << Instruction.new(name, text.to_s, first)
    parts, first = [], nil
  end
  raise "line #{first}: the last instruction does not end" if first

  instructions
end

# Flags (--from=build) and words of an instruction in exec or shell form.
def flags_and_words(text)
  flags = {}
  while (match = text.match(/\A--([a-z-]+)=(\S+)\s+/))
    flags[match[1]] = match[2]
    text = match.post_match
  end
  text = text.delete_prefix("CMD ") # of HEALTHCHECK
  [flags, text.start_with?("[") ? JSON.parse(text) : text.shellsplit]
end

def stages_of(instructions)
  raise "the first instruction is not FROM" unless instructions.first&.name == "FROM"

  instructions.slice_before { |i| i.name == "FROM" }.to_a
end

# ---- building ----

class Stage
  attr_reader :name, :root

  def initialize(instructions, root, others)
    @instructions, @root, @others = instructions, root, others
    @folder, @environment = "/", {}
    _, words = flags_and_words(instructions.first.text)
    @base, _, @name = words
  end

  def build
    raise "only #{BASES.join(', ')} can be made here, not #{@base}" unless BASES.include?(@base)

    run_here(CHROOT, "new", @root)
    @instructions.drop(1).each { |i| perform(i) }
  end

  private

  def perform(instruction)
    case instruction.name
    when "RUN" then run(instruction)
    when "COPY" then copy(instruction)
    when "WORKDIR" then FileUtils.mkdir_p(inside(@folder = File.expand_path(instruction.text, @folder)))
    when "ENV" then @environment.merge!(flags_and_words(instruction.text).last.to_h { |word| word.split("=", 2) })
    when "LABEL", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD" then nil # facts, not actions
    else raise "line #{instruction.line}: #{instruction.name} is not understood here"
    end
  rescue StandardError => e
    raise e.message.start_with?("line ") ? e : "line #{instruction.line}: #{e.message}"
  end

  def inside(path) = File.join(@root, path)

  def run_here(*words, **options)
    output = IO.popen([*words, { err: %i[child out], **options }], &:read)
    raise "#{words.first(4).join(' ')} failed:\n#{output}" unless $?.success?
  end

  def run(instruction)
    return install_built if instruction.text.start_with?("make ") && !compiles?
    return if instruction.text == "scripts/install-packages build" && !compiles?

    variables = @environment.map { |name, value| "#{name}=#{value}" }
    run_here(CHROOT, "run", @root, "env", "-C", @folder, *variables, "/bin/sh", "-c", instruction.text)
  end

  def compiles? = ENV.key?("TRIVET_IMAGE_COMPILE")

  def install_built
    build = ENV.fetch("TRIVET_BUILD", "#{ROOT}/build/release")
    paths = { "PREFIX" => "/usr", "SYSCONFDIR" => "/etc", "UNITDIR" => "/usr/lib/systemd/system",
              "DOCDIR" => "/usr/share/doc/trivet", "DESTDIR" => inside("/image") }
    programs = Dir["#{build}/trivet-*"].select { |path| File.file?(path) && File.executable?(path) }
    run_here("env", *paths.map { |name, value| "#{name}=#{value}" }, "#{ROOT}/scripts/install-files", "install", *programs)
  end

  # A folder's content is copied, not the folder itself; links stay links.
  def copy(instruction)
    flags, (*sources, target) = flags_and_words(instruction.text)
    from = flags["from"] ? @others.fetch(flags["from"]).root : context
    target = inside(File.expand_path(target, @folder)) + (target.end_with?("/") ? "/" : "")
    sources.each do |source|
      path = File.join(from, source)
      FileUtils.mkdir_p(File.directory?(path) ? target : File.dirname("#{target}x"))
      run_here("cp", "-a", "--no-preserve=ownership", File.directory?(path) ? "#{path}/." : path, target)
    end
  end

  # The repository without what .dockerignore names, as a folder; one for all stages.
  def context
    @@context ||= Dir.mktmpdir("context-", File.dirname(@root)).tap do |folder|
      ignored = File.readlines("#{ROOT}/.dockerignore", chomp: true)
      options = ignored.map { |p| p.start_with?("**/") ? "--exclude=#{p.delete_prefix('**/')}" : "--exclude=./#{p}" }
      run_here("bash", "-o", "pipefail", "-c", "tar -C \"$1\" \"${@:3}\" -c . | tar -C \"$2\" -x", "-", ROOT, folder, *options)
    end
  end
end

def build(source, folder)
  stages = {}
  lists = stages_of(parse(source))
  lists.each_with_index do |list, number|
    root = list.equal?(lists.last) ? folder : "#{folder}.stage#{number}"
    stage = Stage.new(list, root, stages)
    stage.build
    stages[stage.name || number.to_s] = stage
  end
  stages.values[0..-2].each { |stage| system(CHROOT, "remove", stage.root, exception: true) }
ensure
  FileUtils.rm_rf(Dir["#{File.dirname(folder)}/context-*"])
end

# ---- facts ----

def fact(source, name)
  found = stages_of(parse(source)).last.select { |i| i.name == name }.last
  found && flags_and_words(found.text).last
end

# ---- looking for mistakes ----

# Each rule is asked about every instruction, and says what is wrong, or nothing.
RULES = {
  "the base image has a tag that says its release" => lambda { |i|
    i.name == "FROM" && i.text !~ /\A\S+:(?!latest\b|stable\b)\S+/
  },
  "no ADD, which fetches and unpacks" => ->(i) { i.name == "ADD" },
  "nothing runs through sudo" => ->(i) { i.name == "RUN" && i.text =~ /\bsudo\b/ },
  "apt-get asks nothing and installs nothing that is only recommended" => lambda { |i|
    i.name == "RUN" && i.text =~ /apt-get\b.*\binstall\b/ && i.text !~ /install (?=.*-y\b)(?=.*--no-install-recommends)/
  },
  "what apt-get update fetched is used and removed in the same layer" => lambda { |i|
    i.name == "RUN" && i.text =~ /apt-get update/ && i.text !~ %r{apt-get\b.*\binstall\b.*rm -rf [^&]*/var/lib/apt/lists/\*}
  },
  "apt, which is for people, is not used by scripts" => ->(i) { i.name == "RUN" && i.text =~ /\bapt (install|update|upgrade)/ },
  "commands are in exec form, so that signals reach the server" => lambda { |i|
    %w[ENTRYPOINT CMD].include?(i.name) && !i.text.start_with?("[")
  },
  "the health check is in exec form, with an interval and a timeout" => lambda { |i|
    i.name == "HEALTHCHECK" && i.text !~ /\A(?=.*--interval=)(?=.*--timeout=).* CMD \[/
  },
  "folders are changed by WORKDIR, to absolute paths" => lambda { |i|
    (i.name == "WORKDIR" && !i.text.start_with?("/")) || (i.name == "RUN" && i.text =~ /\A\s*cd /)
  },
  "no secret is in the image" => lambda { |i|
    %w[ENV ARG COPY].include?(i.name) && i.text =~ /password|secret|token/i
  },
  "ports are numbers" => ->(i) { i.name == "EXPOSE" && i.text !~ /\A\d+( \d+)*\z/ },
  "MAINTAINER is a label today" => ->(i) { i.name == "MAINTAINER" },
}.freeze

# What the last stage must have, once.
WANTED = { "HEALTHCHECK" => 1, "ENTRYPOINT" => 1, "CMD" => 1, "VOLUME" => 1, "EXPOSE" => 1, "STOPSIGNAL" => 1, "WORKDIR" => 1 }.freeze

def findings(source)
  instructions = parse(source)
  found = instructions.flat_map do |i|
    RULES.select { |_, broken| broken.call(i) }.keys.map { |rule| "line #{i.line}: #{i.name}: #{rule}" }
  end
  last = stages_of(instructions).last.map(&:name).tally
  found + WANTED.reject { |name, count| last[name] == count }.keys.map { |name| "the last stage wants one #{name}" }
end

# ---- which of it ----

command, argument = ARGV
source = File.read(command == "lint" && argument || "#{ROOT}/packaging/Dockerfile")
begin
  case command
  when "build" then build(source, argument)
  when "show" then puts fact(source, argument)
  when "lint"
    list = findings(source)
    puts list
    exit list.empty?
  else raise "there are build, lint and show, not '#{command}'"
  end
rescue StandardError => e
  warn "dockerfile.rb: #{e.message}"
  exit 1
end
