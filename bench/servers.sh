# servers.sh: the servers that are measured, by name; sourced by run. A name begins with its program's ("trivet",
# "redis"), so that there can be several of one program ("trivet-aof"). Each keeps its files in $work/NAME.

declare -A pid at

progress() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }
fail() {
    echo "bench: $*" >&2
    exit 1
}

# Ends what this process started: each section runs in one of its own.
stop_all() {
    local name
    for name in "${!pid[@]}"; do
        kill -CONT "${pid[$name]}" 2>/dev/null || true
        kill -KILL "${pid[$name]}" 2>/dev/null || true
    done
    wait 2>/dev/null || true
}

# Nobody listens there, and nobody else was given it, who may not listen yet.
free_port() {
    local port
    for ((port = 21000 + RANDOM % 9000; ; port++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ! mkdir "$work/port-$port" 2>/dev/null || break
    done
    echo "$port"
}

cli() { # NAME COMMAND...
    # shellcheck disable=SC2086
    redis-cli ${at[$1]} "${@:2}"
}

# A command that has to succeed: a server that does not know it ends the section with its words.
must() { # NAME COMMAND...
    local reply
    # shellcheck disable=SC2086
    reply=$(redis-cli -e ${at[$1]} "${@:2}" 2>&1) || fail "$1 answered ${*:2}: $reply"
    printf '%s\n' "$reply"
}

# launch NAME CORES WORKERS ARGS...: with the same settings for all, which ARGS come after. Does not wait.
launch() {
    local name=$1 folder=$work/$1 program=$trivet port=0
    [[ $name == trivet* ]] || program=$(command -v redis-server)
    mkdir -p "$folder"
    rm -f "$folder/socket"
    [[ $transport == unix ]] || port=$(free_port)
    taskset -c "$2" "$program" --port "$port" --bind 127.0.0.1 --unixsocket "$folder/socket" --dir "$folder" \
        --save "" --appendonly no --io-threads "$3" "${@:4}" >"$folder/log" 2>&1 </dev/null &
    pid[$name]=$!
    at[$name]="-s $folder/socket"
    [[ $transport == unix ]] || tcp_at[$name]="-h 127.0.0.1 -p $port"
}
declare -A tcp_at

# Until it answers: not while it still loads its files.
ready() { # NAME
    until [[ $(cli "$1" PING 2>/dev/null) == PONG ]]; do
        kill -0 "${pid[$1]}" 2>/dev/null || { tail -n 20 "$work/$1/log" >&2; fail "$1 did not start"; }
        sleep 0.01
    done
    at[$1]=${tcp_at[$1]:-${at[$1]}}
}

start() { # NAME CORES WORKERS ARGS...
    launch "$@"
    ready "$1"
}

stop() { # NAME
    kill -CONT "${pid[$1]}"
    kill -TERM "${pid[$1]}"
    wait "${pid[$1]}" || true
    unset "pid[$1]"
}

# The name of a replica begins with its primary's and "-replica".
is_of() { [[ $1 == "$2" || $1 == "$2"-replica* ]]; } # NAME PRIMARY

# only NAME: it and its replicas run, the others are frozen.
only() {
    local name
    for name in "${!pid[@]}"; do
        is_of "$name" "$1" || kill -STOP "${pid[$name]}"
    done
    for name in "${!pid[@]}"; do
        ! is_of "$name" "$1" || kill -CONT "${pid[$name]}"
    done
}

freeze() { # NAME: and its replicas
    local name
    for name in "${!pid[@]}"; do
        ! is_of "$name" "$1" || kill -STOP "${pid[$name]}"
    done
}

info() { # NAME FIELD
    must "$1" INFO all | tr -d '\r' | awk -F : -v field="$2" '$1 == field { print $2 }'
}

# ---- what they hold ----

# Every key once: redis-benchmark, which draws them at random, would leave a third of them out.
preload() { # NAME [KEYS]
    local count=${2:-$keys} there
    awk -v count="$count" 'BEGIN {
        for (i = 0; i < count; i++)
            printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\nvalue:%026d\r\n", i, i
    }' | pour "$1"
    there=$(must "$1" DBSIZE)
    [[ $there == "$count" ]] || fail "$1 has $there keys instead of $count"
}

pour() { # NAME <commands
    cli "$1" --pipe >"$work/pipe" 2>&1 || { head -n 3 "$work/pipe" >&2; fail "cannot load into $1"; }
}

# many KIND KEYS ELEMENTS [LETTERS]: commands that make so many values of so many elements each: short field names,
# values and members of so many random letters and digits (16), scores below a million.
many() {
    awk -v kind="$1" -v keys="$2" -v elements="$3" -v letters="${4:-16}" '
    function bulk(s) { return "$" length(s) "\r\n" s "\r\n" }
    function text() { return substr(sprintf("x%07x%08x", 268435456 * rand(), 4294967296 * rand()), 1, letters) }
    function element(i) {
        if (kind == "hash") return bulk("field:" i) bulk(text())
        if (kind == "zset") return bulk(int(1000000 * rand())) bulk(text())
        if (kind == "intset") return bulk(int(1000000000 * rand()))
        return bulk(text())
    }
    BEGIN {
        srand(1)
        name["hash"] = "HSET"; name["zset"] = "ZADD"; name["set"] = name["intset"] = "SADD"; name["list"] = "RPUSH"
        for (k = 0; k < keys; k++) {
            for (i = 0; i < elements; i += 500) {
                n = elements - i < 500 ? elements - i : 500
                args = (kind == "hash" || kind == "zset" ? 2 * n : n) + 2
                printf "*%d\r\n%s%s", args, bulk(name[kind]), bulk(kind ":" k)
                for (j = 0; j < n; j++) printf "%s", element(i + j)
            }
        }
    }'
}

# As many, for streams: entries of three fields.
many_streams() { # KEYS ENTRIES
    awk -v keys="$1" -v entries="$2" '
    function bulk(s) { return "$" length(s) "\r\n" s "\r\n" }
    BEGIN {
        srand(1)
        for (k = 0; k < keys; k++)
            for (i = 0; i < entries; i++)
                printf "*9\r\n%s%s%s%s%s%s%s%s%s", bulk("XADD"), bulk("stream:" k),
                    bulk(sprintf("17000%08d-0", 37 * i)), bulk("sensor"), bulk(int(1000 * rand())), bulk("temperature"), bulk(sprintf("%.2f", 40 * rand())),
                    bulk("state"), bulk(rand() < 0.5 ? "running" : "stopped")
    }'
}
