# snapshot.sh: how BGSAVE slows clients down, and how much memory it takes while all keys are written again.
#
# The server may use both cores, so that the saving thread or process has one. The latency probe runs on core 1 and sends
# so few requests that the server is never late without a snapshot. If allowed, it gets real-time priority: else the
# saving could delay the probe's own clock instead of the server.

idle_seconds=$((5 * seconds))
snapshots=3

snapshot_begin() { # NAME
    must "$1" BGSAVE >/dev/null
}

snapshot_is_done() { # NAME
    local in_progress status
    in_progress=$(info "$1" rdb_bgsave_in_progress)
    [[ $in_progress ]] || fail "$1 does not tell rdb_bgsave_in_progress"
    [[ $in_progress == 0 ]] || return 1
    status=$(info "$1" rdb_last_bgsave_status)
    [[ $status == ok ]] || fail "$1 could not save: $status"
}

# Latencies without and with a snapshot, into $work/NAME.idle and $work/NAME.busy.
latencies() { # NAME
    local i begin
    probe_for "$1" "$idle_seconds" "$work/$1.idle"
    probe_done "$work/$1.idle"
    probe_for "$1" 600 "$work/$1.busy"
    begin=$EPOCHREALTIME
    for ((i = 0; i < snapshots; i++)); do
        snapshot_begin "$1"
        until snapshot_is_done "$1"; do sleep 0.02; done
    done
    awk -v begin="$begin" -v end="$EPOCHREALTIME" -v n="$snapshots" 'BEGIN { printf "%.2f\n", (end - begin) / n }' \
        >"$work/$1.seconds"
    probe_end "$work/$1.busy"
}

# The most memory it holds during a snapshot while every key is written over and over, against before.
growth() { # NAME
    local before load now peak=0
    # shellcheck disable=SC2086
    taskset -c 1 redis-benchmark ${at[$1]} -c 50 -P 16 -l -q -t set -r "$snapshot_keys" -d 32 >/dev/null 2>&1 &
    load=$!
    sleep $((2 * seconds))
    before=$(resident "$1")
    snapshot_begin "$1"
    until snapshot_is_done "$1"; do
        now=$(resident "$1")
        ((now <= peak)) || peak=$now
        sleep 0.02
    done
    kill -TERM "$load" || fail "redis-benchmark ended early"
    wait "$load" 2>/dev/null || true
    ((peak > 0)) || fail "the snapshot of $1 was over before it could be measured"
    echo "$before $peak"
}

need "$probe"
for side in "${sides[@]}"; do
    start "$side" 0,1 1
    preload "$side" "$snapshot_keys"
    kill -STOP "${pid[$side]}"
done
for side in "${sides[@]}"; do
    only "$side"
    latencies "$side"
    progress "$side: $(<"$work/$side.seconds") s a snapshot"
    growth "$side" >"$work/$side.growth"
    progress "$side: kilobytes before and at most: $(<"$work/$side.growth")"
done

echo "BGSAVE of $snapshot_keys keys; $probe_rate GET and SET a second; microseconds from when a request was due."
printf '%-34s %8s %8s %6s %5s   %8s %8s %6s\n' "" "Trivet" "" "" "" "Redis" "" "" \
    "" idle saving ratio goal idle saving ratio
for kind in GET SET; do
    for column in "3|median|" "5|99.9 %|2.0" "6|maximum|2.0"; do
        IFS='|' read -r n name goal <<<"$column"
        awk -v name="$kind, $name" -v goal="$goal" \
            -v a="$(field "$work/trivet.idle" $kind "$n")" -v b="$(field "$work/trivet.busy" $kind "$n")" \
            -v c="$(field "$work/redis.idle" $kind "$n")" -v d="$(field "$work/redis.busy" $kind "$n")" 'BEGIN {
            printf "%-34s %8d %8d %6.2f %5s   %8d %8d %6.2f\n", name, a, b, b / a, goal, c, d, d / c }'
    done
done
echo
{
    echo "Seconds a snapshot||$(<"$work/trivet.seconds")|$(<"$work/redis.seconds")"
    for side in "${sides[@]}"; do
        awk '{ printf "%.2f\n", $2 / $1 }' "$work/$side.growth" >"$work/$side.times"
    done
    echo "Resident memory while saving under SET, times|at most 1.15|$(<"$work/trivet.times")|$(<"$work/redis.times")"
} | show_figures "The snapshot itself"
