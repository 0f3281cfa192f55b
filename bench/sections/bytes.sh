# bytes.sh: what a key takes, in four layouts: the growth of resident memory divided by the number of keys, and that of
# used_memory, which is what maxmemory limits. Sourced by bench/run.

# Name, goal for resident bytes, and the command that makes so many keys.
layouts=(
    "a key of 16 bytes, a value of 32|at most 74|strings"
    "a token of 43 bytes, a value of 100, a TTL|at most 172|tokens"
    "a hash of 5 small fields|at most 98|hashes"
    "a sorted set of 10|at most 158|zsets"
)

strings() {
    awk -v count="$1" 'BEGIN {
        for (i = 0; i < count; i++)
            printf "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$32\r\nvalue:%026d\r\n", i, i
    }'
}

tokens() {
    awk -v count="$1" 'BEGIN {
        for (i = 0; i < count; i++)
            printf "*5\r\n$3\r\nSET\r\n$43\r\nsession:%035d\r\n$100\r\n%0100d\r\n$2\r\nEX\r\n$5\r\n86400\r\n", i, i
    }'
}

hashes() {
    awk -v count="$1" 'BEGIN {
        for (i = 0; i < count; i++) {
            key = "hash:" i
            printf "*12\r\n$4\r\nHSET\r\n$%d\r\n%s\r\n", length(key), key
            for (f = 0; f < 5; f++) printf "$2\r\nf%d\r\n$4\r\n%04d\r\n", f, (7 * i + f) % 10000
        }
    }'
}
zsets() { many zset "$1" 10 4; }

growth() { # NAME LAYOUT: "resident counted" a key
    local before
    start "$1" 0,1 1
    before="$(resident "$1") $(info "$1" used_memory)"
    "$2" "$keys" | pour "$1"
    [[ $(must "$1" DBSIZE) == "$keys" ]] || fail "$1 has not got all keys"
    echo "$before $(resident "$1") $(info "$1" used_memory)" |
        awk -v keys="$keys" '{ printf "%.1f %.1f\n", ($3 - $1) * 1024 / keys, ($4 - $2) / keys }'
    stop "$1"
}

for layout in "${layouts[@]}"; do
    IFS='|' read -r name goal maker <<<"$layout"
    [[ $name =~ $match ]] || continue
    for side in "${sides[@]}"; do growth "$side" "$maker" >"$work/$side.growth"; done
    read -r mine mine_counted <"$work/trivet.growth"
    read -r other other_counted <"$work/redis.growth"
    echo "$name|$goal|$mine|$other" >>"$work/figures"
    echo "$name||$mine_counted|$other_counted" >>"$work/counted"
    progress "$name: $mine, Redis $other"
done
show_figures "Resident bytes a key, of $keys keys" <"$work/figures"
echo
show_figures "The same by used_memory" <"$work/counted"
