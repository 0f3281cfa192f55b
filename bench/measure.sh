# measure.sh: workloads of redis-benchmark, two servers taking turns, and the tables that are printed; sourced by run.

# ---- one run ----

# Of all threads, and of children that ended.
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 + $14 + $15 }' "/proc/$1/stat"; }

# measure NAME REQUESTS CLIENT_CORES ARGS...: prints requests/s, requests per processor second, and how busy server and
# client were (percent of one core).
measure() {
    local name=$1 requests=$2 cores=$3 before after times rate
    before=$(cpu_ticks "${pid[$name]}")
    TIMEFORMAT='%R %U %S'
    # shellcheck disable=SC2086
    times=$({ time taskset -c "$cores" redis-benchmark ${at[$name]} --csv -n "$requests" -r "$keys" -d 32 "${@:4}" \
        >"$work/csv" 2>"$work/errors"; } 2>&1) || { cat "$work/errors" >&2; fail "redis-benchmark failed on $name"; }
    after=$(cpu_ticks "${pid[$name]}")
    # The second of eight columns, counted from the end: the first one, the command, may hold quotes and line ends.
    rate=$(awk -F '"' 'END { if (NR > 1) print $(NF - 13) }' "$work/csv")
    [[ $rate ]] || { cat "$work/errors" >&2; fail "redis-benchmark said nothing about $name: ${*:4}"; }
    awk -v rate="$rate" -v used=$((after - before)) -v ticks="$ticks" -v requests="$requests" -v times="$times" 'BEGIN {
        split(times, t, " ")
        cpu = used > 0 ? used / ticks : 1 / ticks
        printf "%.0f %.0f %.0f %.0f\n", rate, requests / cpu, 100 * cpu / t[1], 100 * (t[2] + t[3]) / t[1]
    }'
}

# best NAME: of the lines in $work/NAME.runs, the highest rate and the highest rate per processor second, and the
# busyness of the fastest run.
best() {
    awk '$1 > rate { rate = $1; server = $3; client = $4 }
        $2 > cpu { cpu = $2 }
        END { print rate, cpu, server, client }' "$work/$1.runs"
}

# ---- two servers ----

# compare FIRST SECOND NAME GOAL REQUESTS CLIENT_CORES ARGS...: ROUND in ARGS is the round's number.
compare() {
    local pair=("$1" "$2") name=$3 goal=$4 requests=$5 cores=$6 args=("${@:7}") round side t r
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${pair[@]}"; do
            only "$side"
            measure "$side" "$requests" "$cores" "${args[@]//ROUND/$round}" >>"$work/$side.runs"
        done
    done
    read -ra t <<<"$(best "${pair[0]}")"
    read -ra r <<<"$(best "${pair[1]}")"
    printf '%s|%s|%s|%s|%s|%s|%s|%s|%s|%s\n' "$name" "$goal" "${t[@]}" "${r[@]}" >>"$work/results"
    progress "$name: $(awk -v a="${t[0]}" -v b="${r[0]}" -v c="${t[1]}" -v d="${r[1]}" \
        'BEGIN { printf "%.2f times, %.2f by processor time", a / b, c / d }')"
}

# compare_all FIRST SECOND CLIENT_CORES "name|goal|requests|args"...: those whose name matches --match.
compare_all() {
    local workload name goal requests text args
    for workload in "${@:4}"; do
        IFS='|' read -r name goal requests text <<<"$workload"
        [[ $name =~ $match ]] || continue
        read -ra args <<<"$text"
        compare "$1" "$2" "$name" "$goal" $((requests * seconds)) "$3" -c 50 "${args[@]}"
    done
}

# ---- tables ----

# record TABLE <"name|goal|trivet|redis": the same for programs, into the file BENCH_ROWS, which bench/full names.
record() {
    awk -v section="$section" -v table="$1" '{ print section "|" table "|" $0 }' >>"${BENCH_ROWS:-/dev/null}"
}

# show_results FIRST SECOND: what compare found, and forgets it. results_of: whose, if there are several. Both ratios are to
# reach the goal; where the client is the slower end only the second one says something.
show_results() {
    [[ -e $work/results ]] || { echo "(nothing matches)"; return; }
    awk -F '|' -v of="${results_of:-}" '{
        goal = $2 == "" || of == "Redis: " ? "" : "at least " $2 " times"
        print of $1 "|" goal "|" $4 "|" $8
    }' "$work/results" |
        record "requests a second of processor time, $1 and $2"
    awk -F '|' -v first="$1" -v second="$2" '
    BEGIN {
        printf "%-40s %12s %12s %6s %5s   %23s %6s   %s\n", "", "requests/s", "", "", "",
            "req/s of processor time", "", "busy: server/client, % of a core"
        printf "%-40s %12s %12s %6s %5s   %11s %11s %6s   %10s %10s\n", "", first, second, "ratio", "goal",
            first, second, "ratio", first, second
    }
    {
        printf "%-40s %12d %12d %6.2f %5s   %11d %11d %6.2f   %5d/%-4d %5d/%-4d\n", $1, $3, $7, $3 / $7, $2, $4, $8,
            $4 / $8, $5, $6, $9, $10
    }' "$work/results"
    rm -f "$work/results"
}

# show_figures UNIT: from lines "name|goal|trivet|redis" (the goal in words) on standard input.
show_figures() {
    local lines
    lines=$(cat)
    record "$1" <<<"$lines"
    awk -F '|' -v unit="$1" '
    BEGIN { printf "%-52s %12s %12s %7s  %s\n", unit, "Trivet", "Redis", "ratio", "goal" }
    { printf "%-52s %12s %12s %7s  %s\n", $1, $3, $4, ($4 > 0 ? sprintf("%.2f", $3 / $4) : "-"), $2 }' <<<"$lines"
}
