# stalls.sh: how long a client's GETs and SETs take while the server has much to do for others: a table grows, keys are
# evicted, flushed, expire, a big value is unlinked, a client subscribes to many channels.
#
# The server, with all its threads, has core 0; probe and load share core 1, where the probe comes first if that is
# allowed. So a thread that frees memory takes its time from the one that answers, which a core of its own would hide.
# What two threads at once do to each other's memory is not seen here. The probe counts from the moment when a
# request was due. Sourced by bench/run.

stall_load=$programs/stall_load
need "$probe" "$stall_load"
probe_keys=100000
writes_a_second=200000
channels=100000
evicting_seconds=$((4 * seconds))
expiring_seconds=$((10 * seconds)) # at most

load() { taskset -c 1 "$stall_load" "$work/$side/socket" "$@" || fail "stall_load $* failed on $side"; }

# What happens between the two is the event.
watch() {
    snapshot_keys=$probe_keys probe_for "$side" 600 "$work/$side.probe"
    watch_began=$EPOCHREALTIME
}

# Two seconds at least: of fewer requests a thousandth says nothing.
watch_end() { # EVENT
    awk -v begin="$watch_began" -v now="$EPOCHREALTIME" 'BEGIN { left = begin + 2 - now; print (left > 0 ? left : 0) }' |
        xargs sleep
    probe_end "$work/$side.probe"
    # Of GETs and SETs the slower ones.
    awk -v name="$1" '{ for (i = 3; i <= 6; i++) if ($i > most[i]) most[i] = $i }
        END { print name "|" most[3] "|" most[4] "|" most[5] "|" most[6] }' "$work/$side.probe" >>"$work/$side.events"
    progress "$side: $(tail -n 1 "$work/$side.events" | tr '|' ' ')"
}

idle() {
    watch
    sleep $((5 * seconds))
    watch_end "$1"
}

wanted() { [[ $1 =~ $match ]]; }

until_freed() {
    local deadline=$((SECONDS + 120))
    # No more than this section of INFO: all of it would be a stall of its own.
    until must "$side" INFO memory | grep -q '^lazyfree_pending_objects:0'; do
        ((SECONDS < deadline)) || fail "$side frees for two minutes"
        sleep 0.1
    done
}

# Tables of a power of two of buckets double somewhere in between, whatever they hold in each.
growing="a table doubles"
growing() {
    local from=$((stall_keys * 13 / 20))
    load keys 0 "$from" 0
    watch
    load keys "$from" $((stall_keys * 9 / 20)) "$writes_a_second"
    watch_end "$growing"
}

evicting="evicting"
evicting() {
    must "$side" CONFIG SET maxmemory-policy allkeys-lru >/dev/null
    must "$side" CONFIG SET maxmemory "$(info "$side" used_memory)" >/dev/null
    watch
    load keys "$((2 * stall_keys))" $((writes_a_second * evicting_seconds)) "$writes_a_second"
    watch_end "$evicting"
    (($(info "$side" evicted_keys) > 0)) || fail "$side evicts nothing"
    must "$side" CONFIG SET maxmemory 0 >/dev/null
}

flushing="FLUSHALL ASYNC"
flushing() {
    watch
    must "$side" FLUSHALL ASYNC >/dev/null
    until_freed
    watch_end "$flushing"
}

# All at the same moment, which comes when all are there.
expiring="keys expire"
expiring() {
    local due=$((${EPOCHREALTIME%.*} + 5 + stall_keys / 250000)) end
    must "$side" FLUSHALL >/dev/null
    load keys 0 "$stall_keys" 0 "${due}000"
    (($(must "$side" DBSIZE) == stall_keys)) || progress "$side: some expired before all were there"
    while ((${EPOCHREALTIME%.*} < due)); do sleep 0.1; done
    watch
    end=$((SECONDS + expiring_seconds))
    while ((SECONDS < end && $(must "$side" DBSIZE) > 2 * probe_keys)); do sleep 0.2; done
    watch_end "$expiring"
    must "$side" FLUSHALL >/dev/null
}

unlinking() { # KIND
    load "$1" big "$stall_keys"
    watch
    must "$side" UNLINK big >/dev/null
    until_freed
    watch_end "UNLINK of a $1"
}

subscribing="$channels channels"
subscribing() {
    watch
    load subscribe "$channels" $((4 * seconds)) >"$work/times"
    watch_end "$subscribing"
    progress "$side: subscribed and gone $(<"$work/times") times"
}

for side in "${sides[@]}"; do
    start "$side" 0 1
    preload "$side" "$probe_keys"
    idle idle
    if wanted "$growing" || wanted "$evicting" || wanted "$flushing"; then
        growing
        ! wanted "$evicting" || evicting
        ! wanted "$flushing" || flushing
    fi
    ! wanted "$expiring" || expiring
    for kind in zset hash set list stream; do
        ! wanted "UNLINK of a $kind" || unlinking "$kind"
    done
    ! wanted "$subscribing" || subscribing
    stop "$side"
done

echo "Stalls: $probe_rate GETs and SETs a second beside events of $stall_keys keys or elements; microseconds from when"
echo "a request was due; servers on core 0, probe and load on core 1. The goal is 2.0 for the 99.9th percentile against idle."
printf '%-20s %31s %6s   %31s %6s\n' "" "Trivet: median, 99 %, 99.9 %, max" "99.9 %" "Redis" "99.9 %" \
    "" "" "/ idle" "" "/ idle"
join -t '|' <(sort "$work/trivet.events") <(sort "$work/redis.events") >"$work/both"
cut -d '|' -f 1 "$work/trivet.events" | while read -r name; do grep "^$name|" "$work/both"; done >"$work/in-order"
awk -F '|' 'NR == 1 { t = $4 } { print $1 "|" (NR > 1 ? "at most " 2 * t : "") "|" $4 "|" $8 }' "$work/in-order" |
    record "Microseconds, 99.9th percentile of GETs and SETs"
awk -F '|' '
    NR == 1 { t = $4; r = $8 }
    { printf "%-20s %7d %7d %7d %7d %6.2f   %7d %7d %7d %7d %6.2f\n", $1, $2, $3, $4, $5, $4 / t, $6, $7, $8, $9, $8 / r }' "$work/in-order"
