# pubsub.sh: what one message for one subscriber costs the server: processor time, all its threads and the kernel's part
# included. Subscribers and publisher are one program on core 1 (pubsub_load), which waits until all is delivered before
# it publishes more.

pubsub_load=$programs/pubsub_load
need "$pubsub_load"

start trivet 0 1
start redis 0 1
for side in "${sides[@]}"; do kill -STOP "${pid[$side]}"; done

# "name|goal|kind protocol subscribers channels bytes pipeline|messages"; the goals are for the ratio.
pubsub_workloads=(
    "100 of one channel, 100 B, 32 at once|at most 0.57 times|channel 2 100 1 100 32|38400"
    "1,000 of one channel, 500 B, 64 at once|at most 0.56 times|channel 2 1000 1 500 64|6400"
    "1,000 of one channel, 500 B, one by one||channel 2 1000 1 500 1|300"
    "1,000 of 100 channels, 100 B, 32 at once|at most 0.99 times|channel 2 1000 100 100 32|32000"
    "1,000 of 1,000 channels, 100 B, 32 at once||channel 2 1000 1000 100 32|128000"
    "1,000 of one channel, 20 KB, one by one||channel 2 1000 1 20000 1|60"
    "RESP3: 1,000 of one channel, 500 B, 64 at once||channel 3 1000 1 500 64|6400"
    "1,000 of 100 patterns, 100 B, 32 at once||pattern 2 1000 100 100 32|16000"
    "1,000 of one sharded channel, 500 B, 64 at once||shard 2 1000 1 500 64|6400"
)

# deliver NAME MESSAGES ARGS...: prints microseconds of processor time for each delivery.
deliver() {
    local name=$1 messages=$2 target=${at[$1]##* } before delivered
    before=$(cpu_ticks "${pid[$name]}")
    delivered=$(taskset -c 1 "$pubsub_load" "$target" "${@:3}" "$messages") ||
        fail "pubsub_load failed on $name: ${*:3}"
    awk -v used=$(($(cpu_ticks "${pid[$name]}") - before)) -v ticks="$ticks" -v delivered="$delivered" \
        'BEGIN { printf "%.3f\n", 1000000 * used / ticks / delivered }'
}

for workload in "${pubsub_workloads[@]}"; do
    IFS='|' read -r name goal text messages <<<"$workload"
    [[ $name =~ $match ]] || continue
    read -ra args <<<"$text"
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${sides[@]}"; do
            only "$side"
            deliver "$side" $((messages * seconds)) "${args[@]}" >>"$work/$side.runs"
        done
    done
    printf '%s|%s|%s|%s\n' "$name" "$goal" "$(sort -n "$work/trivet.runs" | head -n 1)" \
        "$(sort -n "$work/redis.runs" | head -n 1)" >>"$work/figures"
    progress "$name: $(tail -n 1 "$work/figures" | awk -F '|' '{ print $3, "and", $4, "us" }')"
done
if [[ -e $work/figures ]]; then
    echo "Subscribers: processor time of the server for each delivered message, best of $rounds; the goal is for the ratio."
    show_figures "us of processor time a delivery" <"$work/figures"
else
    echo "(nothing matches)"
fi
