# memory.sh: the memory of one key, or of one element: the growth of used_memory divided by their number. Each line
# starts its own servers, so that nothing is left from the line before.

# Name, goal, elements, and the commands that make them.
layouts=(
    "hashes of 10 fields, values of 4 bytes|at most 0.9|1000000|many hash 100000 10 4"
    "hashes of 10 fields, values of 16 bytes|at most 0.9|1000000|many hash 100000 10"
    "hashes of 10,000 fields||1000000|many hash 100 10000"
    "sorted sets of 10 members of 4 bytes|at most 0.9|1000000|many zset 100000 10 4"
    "sorted sets of 10 members of 16 bytes|at most 0.9|1000000|many zset 100000 10"
    "sorted sets of 10,000 members|at most 0.9|1000000|many zset 100 10000"
    "lists of 10 elements||1000000|many list 100000 10"
    "lists of 10,000 elements||1000000|many list 100 10000"
    "sets of 10 members||1000000|many set 100000 10"
    "sets of 10,000 members||1000000|many set 100 10000"
    "sets of 10 integers||1000000|many intset 100000 10"
    "streams of 1,000 entries with 3 fields||300000|many_streams 300 1000"
)

# Keys that are small: with them the entry and its place in the table count for as much as the value.
keys_of=(
    "key of 16 bytes, value of 32|at most 0.85|many_strings 16 32"
    "token of 43 bytes, value of 100, TTL|at most 0.85|many_strings 43 100 3600"
    "hash of 5 small fields|at most 98 bytes|many_small_hashes"
    "sorted set of 10 members of 4 bytes|at most 158 bytes|many_small_zsets"
)

# Commands for $keys keys each. Keys and values are what the numbers of an application are: of one length, and random.
commands() { # AWK-PROGRAM VARIABLES...
    awk -v keys="$keys" "${@:2}" '
    function bulk(s) { return "$" length(s) "\r\n" s "\r\n" }
    function letters(n,  s) { while (length(s) < n) s = s sprintf("%08x", 4294967296 * rand()); return substr(s, 1, n) }
    function key(k, n,  s) { s = "key:" sprintf("%08d", k); return s letters(n - length(s)) }
    BEGIN { srand(1); for (k = 0; k < keys; k++) {'"$1"'} }'
}
# shellcheck disable=SC2016 # awk's variables
{
    many_strings() { # KEY VALUE [TTL]
        commands '
            printf "*%d\r\n%s%s%s%s", ttl ? 5 : 3, bulk("SET"), bulk(key(k, klen)), bulk("x" letters(vlen - 1)),
                ttl ? bulk("EX") bulk(ttl) : ""' -v klen="$1" -v vlen="$2" -v ttl="${3:-0}"
    }
    many_small_hashes() {
        commands '
            printf "*12\r\n%s%s%s%s%s%s%s%s%s%s%s%s", bulk("HSET"), bulk(key(k, 16)),
                bulk("id"), bulk(int(1000000 * rand())), bulk("name"), bulk("x" letters(7)), bulk("age"),
                bulk(int(100 * rand())), bulk("city"), bulk("x" letters(5)), bulk("on"), bulk(1)'
    }
    many_small_zsets() {
        commands '
            printf "*22\r\n%s%s", bulk("ZADD"), bulk(key(k, 16))
            for (i = 0; i < 10; i++) printf "%s%s", bulk(int(1000000 * rand())), bulk("x" letters(3))'
    }
}

cost() { # NAME ELEMENTS COMMANDS...
    local before
    start "$1" 0,1 1
    before=$(info "$1" used_memory)
    "${@:3}" | pour "$1"
    awk -v after="$(info "$1" used_memory)" -v before="$before" -v elements="$2" \
        'BEGIN { printf "%.1f", (after - before) / elements }'
}

compare() { # NAME GOAL ELEMENTS COMMANDS...: one line of figures
    local side
    [[ $1 =~ $match ]] || return 0
    for side in "${sides[@]}"; do
        cost "$side" "${@:3}" >"$work/$side.cost"
        stop "$side"
    done
    echo "$1|$2|$(<"$work/trivet.cost")|$(<"$work/redis.cost")" >>"$work/figures"
    progress "$1: $(<"$work/trivet.cost") bytes, Redis $(<"$work/redis.cost")"
}

show() { # TITLE
    [[ ! -s $work/figures ]] || show_figures "$1" <"$work/figures"
    : >"$work/figures"
}

for layout in "${keys_of[@]}"; do
    IFS='|' read -r name goal commands <<<"$layout"
    # shellcheck disable=SC2086
    compare "$name" "$goal" "$keys" $commands
done
show "Bytes of memory for a key"
for layout in "${layouts[@]}"; do
    IFS='|' read -r name goal elements commands <<<"$layout"
    # shellcheck disable=SC2086
    compare "$name" "$goal" "$elements" $commands
done
show "Bytes of memory for an element"
