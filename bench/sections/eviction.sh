# eviction.sh: how many requests a cache of 30 MB answers: policies in a simulator, then both servers under
# allkeys-lru with the same traces, as a read-through cache. EVICTION_REQUESTS=2000000, EVICTION_PACE=100000 requests a
# second (0: as fast as it goes), EVICTION_PLOTS=FOLDER (the simulator's plots). Sourced by bench/run.

eviction_requests=${EVICTION_REQUESTS:-2000000}
eviction_pace=${EVICTION_PACE:-100000}

# Name of the trace, and the goal: the share of hits above redis-server's.
eviction_traces=("zipf|0.05" "onetime|0.08" "moving|0.03" "shuffled|" "sizes|" "rails|" "scans|")

# measure_hits SIDE TRACE: the share of hits and of their bytes, into $work/SIDE.hits.
measure_hits() {
    start "$1" 0 1 --maxmemory 30mb --maxmemory-policy allkeys-lru
    taskset -c 1 "$programs/eviction_load" "$work/$1/socket" "$2" "$eviction_requests" "$eviction_pace" >"$work/$1.hits"
    stop "$1"
}

need "$programs/eviction_sim"
need "$programs/eviction_load"
# shellcheck disable=SC2086
"$programs/eviction_sim" "$eviction_requests" 30 ${EVICTION_PLOTS:-}

echo
printf '%-12s %18s %18s %22s  %s\n' "" "hits: Trivet" "Redis" "bytes: Trivet, Redis" "Trivet's share of hits is"
for line in "${eviction_traces[@]}"; do
    IFS='|' read -r trace goal <<<"$line"
    [[ $trace =~ $match ]] || continue
    progress "trace $trace"
    for side in "${sides[@]}"; do measure_hits "$side" "$trace"; done
    read -r trivet_hits trivet_bytes <"$work/trivet.hits"
    read -r redis_hits redis_bytes <"$work/redis.hits"
    awk -v trace="$trace" -v goal="$goal" -v t="$trivet_hits" -v r="$redis_hits" -v tb="$trivet_bytes" \
        -v rb="$redis_bytes" 'BEGIN {
        printf "%-12s %18.3f %18.3f %15.3f, %.3f  %+.3f", trace, t, r, tb, rb, t - r
        if (goal != "") printf " (goal %+.2f)", goal
        print ""
    }'
done
