# memory.sh: the memory of one element: the growth of used_memory divided by the number of elements. Each line starts
# its own servers, so that nothing is left from the line before.

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

cost() { # NAME ELEMENTS COMMANDS...
    local before
    start "$1" 0,1 1
    before=$(info "$1" used_memory)
    "${@:3}" | pour "$1"
    awk -v after="$(info "$1" used_memory)" -v before="$before" -v elements="$2" \
        'BEGIN { printf "%.1f", (after - before) / elements }'
}

for layout in "${layouts[@]}"; do
    IFS='|' read -r name goal elements commands <<<"$layout"
    [[ $name =~ $match ]] || continue
    for side in "${sides[@]}"; do
        # shellcheck disable=SC2086
        cost "$side" "$elements" $commands >"$work/$side.cost"
        stop "$side"
    done
    echo "$name|$goal|$(<"$work/trivet.cost")|$(<"$work/redis.cost")" >>"$work/figures"
    progress "$name: $(<"$work/trivet.cost") bytes an element, Redis $(<"$work/redis.cost")"
done
show_figures "Bytes of memory for an element" <"$work/figures"
