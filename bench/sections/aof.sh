# aof.sh: the cost of the append-only file: the same server with appendfsync everysec and without a file, in turns.

workloads=(
    "SET, pipeline of 64|0.85|2000000|-t set -P 64"
    "SET, no pipeline|0.85|150000|-t set"
    "HSET, one hash, pipeline of 16|0.85|1000000|-P 16 HSET hash:ROUND field:__rand_int__ $value"
)

for side in "${sides[@]}"; do
    start "$side-none" 0 1
    start "$side-aof" 0,1 1 --appendonly yes --appendfsync everysec --auto-aof-rewrite-percentage 0
    for name in "$side-none" "$side-aof"; do
        only "$name"
        preload "$name"
    done
    # Only the thread that serves has core 0 to itself, as in the server without a file: fsync has a thread of its own.
    taskset -p -c 0 "${pid[$side-aof]}" >/dev/null
    [[ $(must "$side-aof" CONFIG GET appendonly | tail -n 1) == yes ]] || fail "$side-aof writes no append-only file"
    compare_all "$side-aof" "$side-none" 1 "${workloads[@]}"
    echo "${side^}: append-only file with everysec against none. The ratio's goal is Trivet's."
    results_of="${side^}: "
    show_results everysec none
    echo
    stop "$side-aof"
    stop "$side-none"
    rm -rf "${work:?}/$side-aof"
done
