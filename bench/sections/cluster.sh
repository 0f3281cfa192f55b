# cluster.sh: what it costs to be a node of a cluster. GET and SET of a node that has all slots beside a server without
# cluster mode; a slot of many keys moved by redis-cli while others ask; and what nodes that only talk to each other use.
# Sourced by bench/run.

cluster_keys=${BENCH_CLUSTER_KEYS:-100000} cluster_nodes=${BENCH_CLUSTER_NODES:-100} probe_keys=1000
moving_tag=06S # of slot 0, which redis-cli takes first, and in which none of the probe's keys lies
form_deadline=300 # seconds
declare -A bus

# launch_node NAME CORES ARGS...: does not wait.
launch_node() {
    bus[$1]=$(free_port)
    launch "$1" "$2" 1 --cluster-enabled yes --cluster-port "${bus[$1]}" "${@:3}"
}

# node_state NAME FIELD: of CLUSTER INFO.
node_state() { must "$1" CLUSTER INFO | tr -d '\r' | awk -F : -v field="$2" '$1 == field { print $2 }'; }

until_node() { # NAME FIELD VALUE
    local end=$((SECONDS + form_deadline))
    until [[ $(node_state "$1" "$2") == "$3" ]]; do
        ((SECONDS < end)) || fail "$1 does not get $2 $3 but $(node_state "$1" "$2")"
        sleep 0.1
    done
}

# ---- requests ----

compare_requests() {
    local side
    for side in "${sides[@]}"; do
        start "$side-alone" 0 1
        launch_node "$side-node" 0
        ready "$side-node"
        must "$side-node" CLUSTER ADDSLOTSRANGE 0 16383 >/dev/null
        until_node "$side-node" cluster_state ok
        preload "$side-alone" 100000
        preload "$side-node" 100000
        kill -STOP "${pid[$side-alone]}" "${pid[$side-node]}"
    done
    echo "A node with all slots beside a server without cluster mode: 50 clients on core 1, one worker on core 0."
    for side in "${sides[@]}"; do
        keys=100000 match="" compare_all "$side-node" "$side-alone" 1 "GET, pipeline of 16|0.95|1000000|-t get -P 16" \
            "SET, pipeline of 16|0.95|1000000|-t set -P 16"
        results_of="${side^}: " show_results Node Alone
        stop "$side-node"
        stop "$side-alone"
        echo
    done
}

# ---- a slot that moves ----

node_id() { must "$1" CLUSTER MYID; }

# The source has all slots and core 0 to itself; target, redis-cli and the probe share core 1.
start_two() {
    rm -rf "$work/$side-source" "$work/$side-target" # nodes.conf of before
    launch_node "$side-source" 0
    launch_node "$side-target" 1
    ready "$side-source"
    ready "$side-target"
    must "$side-source" CLUSTER ADDSLOTSRANGE 0 16383 >/dev/null
    must "$side-target" CLUSTER SET-CONFIG-EPOCH 2 >/dev/null
    must "$side-target" CLUSTER MEET 127.0.0.1 "$(port_of "$side-source")" "${bus[$side-source]}" >/dev/null
    until_node "$side-source" cluster_known_nodes 2
    until_node "$side-target" cluster_state ok
    until_node "$side-source" cluster_state ok
    preload "$side-source" "$probe_keys"
    [[ $(must "$side-source" CLUSTER COUNTKEYSINSLOT 0) == 0 ]] || fail "a key of the probe is in the slot that moves"
    awk -v count="$cluster_keys" -v tag="$moving_tag" 'BEGIN {
        for (i = 0; i < count; i++)
            printf "*3\r\n$3\r\nSET\r\n$18\r\n{%s}:%012d\r\n$32\r\nvalue:%026d\r\n", tag, i, i
    }' | pour "$side-source"
    [[ $(must "$side-source" CLUSTER COUNTKEYSINSLOT 0) == "$cluster_keys" ]] || fail "not all keys are in slot 0"
}

probe_source() { snapshot_keys=$probe_keys probe_for "$side-source" 600 "$work/$side.$1"; }

# The slower ones of GETs and SETs: median and 99.9th percentile.
slower() { awk '{ for (i = 3; i <= 5; i += 2) if ($i > most[i]) most[i] = $i } END { print most[3], most[5] }' "$1"; }

move_slot() {
    local began
    probe_source idle
    sleep $((3 * seconds))
    probe_end "$work/$side.idle"
    probe_source moving
    began=$EPOCHREALTIME
    taskset -c 1 redis-cli --cluster reshard "127.0.0.1:$(port_of "$side-source")" \
        --cluster-from "$(node_id "$side-source")" --cluster-to "$(node_id "$side-target")" --cluster-slots 1 \
        --cluster-yes --cluster-pipeline "$1" >"$work/reshard" 2>&1 || { tail -n 5 "$work/reshard" >&2; fail "$side: reshard"; }
    awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }' >"$work/$side.took"
    probe_end "$work/$side.moving"
    [[ $(must "$side-target" CLUSTER COUNTKEYSINSLOT 0) == "$cluster_keys" ]] || fail "$side: not all keys have come"
}

measure_moving() { # KEYS-AT-ONCE
    for side in "${sides[@]}"; do
        start_two
        move_slot "$1"
        stop "$side-source"
        stop "$side-target"
        progress "$side: moved in $(<"$work/$side.took") s, others $(slower "$work/$side.moving") us"
    done
    echo "Seconds|at most 1.1 times|$(<"$work/trivet.took")|$(<"$work/redis.took")" | sed "s/^/$1 keys at once: /" \
        >>"$work/seconds"
    local t r i=("" median "99.9th percentile")
    for when in idle moving; do
        read -ra t <<<"$(slower "$work/trivet.$when")"
        read -ra r <<<"$(slower "$work/redis.$when")"
        echo "$1 keys at once: ${i[1]} of others, $when||${t[0]}|${r[0]}"
        echo "$1 keys at once: ${i[2]} of others, $when||${t[1]}|${r[1]}"
    done >>"$work/others"
}

# ---- nodes that only talk ----

# Nanoseconds of all threads so far.
used_ns() { # NAME
    cat /proc/"${pid[$1]}"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# Microseconds of processor time that one of the nodes uses in a second.
node_second() {
    local i before=0 after=0
    for ((i = 0; i < cluster_nodes; i++)); do before=$((before + $(used_ns "$side-$i"))); done
    sleep $((20 * seconds))
    for ((i = 0; i < cluster_nodes; i++)); do after=$((after + $(used_ns "$side-$i"))); done
    awk -v ns=$((after - before)) -v n=$((cluster_nodes * 20 * seconds)) 'BEGIN { printf "%.0f\n", ns / n / 1000 }'
}

# Each knows the first, and hears of the others from it.
form() {
    local i first=0 last
    for ((i = 0; i < cluster_nodes; i++)); do
        last=$((16384 * (i + 1) / cluster_nodes - 1))
        must "$side-$i" CLUSTER ADDSLOTSRANGE "$first" "$last" >/dev/null
        must "$side-$i" CLUSTER SET-CONFIG-EPOCH $((i + 1)) >/dev/null
        first=$((last + 1))
    done
    for ((i = 1; i < cluster_nodes; i++)); do
        must "$side-$i" CLUSTER MEET 127.0.0.1 "$(port_of "$side-0")" "${bus[$side-0]}" >/dev/null
    done
    for ((i = 0; i < cluster_nodes; i++)); do
        until_node "$side-$i" cluster_known_nodes "$cluster_nodes"
        until_node "$side-$i" cluster_state ok
    done
    sleep $((20 * seconds)) # new links are asked more often
}

measure_gossip() {
    local i
    for side in "${sides[@]}"; do
        for ((i = 0; i < cluster_nodes; i++)); do launch_node "$side-$i" 0,1 --cluster-node-timeout 15000; done
        for ((i = 0; i < cluster_nodes; i++)); do ready "$side-$i"; done
        node_second >"$work/$side.silent"
        form
        node_second >"$work/$side.talking"
        for ((i = 0; i < cluster_nodes; i++)); do stop "$side-$i"; done
        progress "$side: $(<"$work/$side.silent") us a node-second alone, $(<"$work/$side.talking") us among $cluster_nodes"
    done
}

difference() { echo $(($(<"$work/$1.talking") - $(<"$work/$1.silent"))); } # SIDE

# ---- all of it ----

wanted() { [[ $1 =~ $match ]]; }

! wanted requests || compare_requests
transport=tcp
if wanted moving; then
    need "$probe"
    measure_moving 10
    measure_moving 100
    echo "A slot of $cluster_keys keys is moved by redis-cli, over the loopback's TCP; $probe_rate GETs and SETs a second of other"
    echo "slots meanwhile. The source has core 0; target, redis-cli and the probe share core 1."
    show_figures "Seconds of a slot's move" <"$work/seconds"
    show_figures "Microseconds of other clients' requests" <"$work/others"
    echo
fi
if wanted gossip; then
    measure_gossip
    echo "$cluster_nodes nodes as so many processes, with a node timeout of 15 s and nothing to do; schedstat's time."
    {
        echo "alone||$(<"$work/trivet.silent")|$(<"$work/redis.silent")"
        echo "among $cluster_nodes||$(<"$work/trivet.talking")|$(<"$work/redis.talking")"
        echo "gossip, the difference|at most 1.1 times|$(difference trivet)|$(difference redis)"
    } | show_figures "Microseconds of processor time, node-second"
fi
