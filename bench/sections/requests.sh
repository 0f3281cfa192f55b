# requests.sh: processor time of a GET and of a SET, in microseconds, the kernel's share included: Trivet beside
# redis-server, memcached, and a program that does nothing but answer (bench/floor.c). A million keys of 16 bytes with
# values of 32. Then the same of two workers against one. Sourced by bench/run.
#
# Each server has core 0 while it is measured, the load core 1; all get their requests from the same program. The best
# round counts. With two workers, which need both cores, the load shares them: processor time says so much all the same.

request_load=$programs/request_load
floor=$programs/floor
need "$request_load" "$floor"
names=(floor trivet redis)
memcached=$(command -v memcached || echo /usr/bin/memcached)
[[ ! -x $memcached ]] || names+=(memcached)

# ask NAME get|set|fill PIPELINE REQUESTS
ask() {
    local protocol=resp
    [[ $1 != memcached ]] || protocol=memcached
    taskset -c 1 "$request_load" "$work/$1/socket" "$protocol" "$2" "$keys" "$3" "$4"
}

start_one() { # NAME
    mkdir -p "$work/$1"
    case $1 in
    floor) taskset -c 0 "$floor" "$work/floor/socket" & ;;
    memcached)
        taskset -c 0 "$memcached" -s "$work/memcached/socket" -m 4096 -t 1 -u "$(id -un)" >"$work/memcached/log" 2>&1 &
        ;;
    trivet-2) start "$1" 0,1 2; return ;;
    *) start "$1" 0 1; return ;;
    esac
    pid[$1]=$!
    until [[ -S $work/$1/socket ]]; do
        kill -0 "${pid[$1]}" 2>/dev/null || fail "$1 did not start"
        sleep 0.01
    done
}

# Microseconds of each run, into $work/NAME.us
cost() { # NAME get|set PIPELINE REQUESTS
    local before
    only "$1"
    before=$(cpu_ticks "${pid[$1]}")
    ask "$@" >/dev/null || fail "the load failed on $1"
    awk -v used=$(($(cpu_ticks "${pid[$1]}") - before)) -v ticks="$ticks" -v requests="$4" \
        'BEGIN { printf "%.3f\n", used / ticks / requests * 1e6 }' >>"$work/$1.us"
}

# compare_costs KIND PIPELINE REQUESTS NAME...: prints the least of each, in this order.
compare_costs() {
    local round name
    rm -f "$work"/*.us
    for ((round = 0; round < rounds; round++)); do
        for name in "${@:4}"; do cost "$name" "$1" "$2" "$3"; done
    done
    for name in "${@:4}"; do sort -g "$work/$name.us" | head -n 1; done | paste -s -d '|'
}

for name in "${names[@]}" trivet-2; do
    start_one "$name"
    [[ $name == floor ]] || ask "$name" fill 64 0 >/dev/null
    kill -STOP "${pid[$name]}"
done

# Requests a run at seconds=1; goals: microseconds for Trivet, and how much less than redis-server.
rows=("get|64|2000000|0.26|4.0" "set|64|2000000|0.29|4.0" "get|16|1000000||2.3" "set|16|1000000||2.3"
    "get|1|150000||" "set|1|150000||")
for row in "${rows[@]}"; do
    IFS='|' read -r kind depth requests goal times <<<"$row"
    name="${kind^^}, pipeline of $depth"
    [[ $name =~ $match ]] || continue
    costs=$(compare_costs "$kind" "$depth" $((requests * seconds)) "${names[@]}")
    echo "$name|$goal|$times|$costs" >>"$work/costs"
    progress "$name: $costs"
done
for kind in get set; do
    name="${kind^^}, pipeline of 64, 2 workers"
    [[ $name =~ $match ]] || continue
    costs=$(compare_costs "$kind" 64 $((2000000 * seconds)) trivet trivet-2)
    echo "$name|1.1|$costs" >>"$work/workers"
    progress "$name: $costs"
done

echo "Microseconds of processor time a request: $keys keys, values of 32 bytes, 50 clients, one thread each; best of $rounds."
[[ ! -e $work/costs ]] || awk -F '|' '{ print $1 "|" ($2 == "" ? "" : "at most " $2) "|" $5 "|" $6 "|" $4 "|" $7 }' \
    "$work/costs" | record "Microseconds of processor time a request"
[[ ! -e $work/workers ]] || awk -F '|' '{ printf "%s|at most %s|%.2f|\n", $1, $2, $4 / $3 }' "$work/workers" |
    record "Processor time a request, 2 workers against 1"
[[ ! -e $work/costs ]] || awk -F '|' '
    BEGIN { printf "%-24s %8s %8s %8s %10s %14s %14s %8s\n", "", "floor", "Trivet", "Redis", "memcached", "Redis/Trivet", "goal: Trivet", "ratio" }
    { printf "%-24s %8s %8s %8s %10s %14.2f %14s %8s\n", $1, $4, $5, $6, $7 == "" ? "-" : $7, $6 / $5, $2, $3 }' "$work/costs"
[[ ! -e $work/workers ]] || awk -F '|' '
    BEGIN { printf "\n%-32s %10s %10s %6s %5s\n", "", "1 worker", "2 workers", "ratio", "goal" }
    { printf "%-32s %10s %10s %6.2f %5s\n", $1, $3, $4, $4 / $3, $2 }' "$work/workers"
