# strings.sh: a million keys with values of 32 bytes, read and written; and what such a key costs.

# Name, goal for the ratios ("" for none), requests a run at seconds=1, and what redis-benchmark is told.
workloads=(
    "GET, pipeline of 16|1.5|1500000|-t get -P 16"
    "GET, pipeline of 64|2.0|2000000|-t get -P 64"
    "SET, pipeline of 16|1.5|1500000|-t set -P 16"
    "SET, pipeline of 64|2.0|2000000|-t set -P 64"
    "PING, no pipeline||150000|PING"
    "GET, no pipeline|1.0|150000|-t get"
    "SET, no pipeline|1.0|150000|-t set"
    "INCR, pipeline of 16||1500000|-t incr -P 16"
    "MSET of 10, pipeline of 16|1.2|200000|-t mset -P 16"
    "MSET of 10, no pipeline|1.2|60000|-t mset"
)

declare -A bytes
for side in "${sides[@]}"; do
    start "$side" 0 1
    before=$(info "$side" used_memory)
    preload "$side"
    bytes[$side]=$(awk -v after="$(info "$side" used_memory)" -v before="$before" -v keys="$keys" \
        'BEGIN { printf "%.1f", (after - before) / keys }')
    kill -STOP "${pid[$side]}"
done
compare_all trivet redis 1 "${workloads[@]}"

echo "Strings: $keys keys of 16 bytes, values of 32; 50 clients on core 1, one worker on core 0."
show_results Trivet Redis
echo
echo "A key and its value|at most 0.75|${bytes[trivet]}|${bytes[redis]}" | show_figures "Bytes of memory"
