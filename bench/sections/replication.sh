# replication.sh: what replicas cost their primary, how fast and how late they apply its stream, and full
# synchronization, all over the loopback's TCP. The lag is least in the best round, and so are the other times.
#
# There are two cores. Under load the primary has core 0 to itself. Its replicas share core 1 with the load, which comes
# first, if that is allowed: they get what it leaves. It is write_load, which leaves them enough; redis-benchmark would
# not. Two replicas are too much for that core all the same: then only the primary's processor time is compared. It is
# read when its replicas have applied everything, so nothing that is to be sent is left out.

transport=tcp
write_load=$programs/write_load
lag_probe=$programs/lag_probe
need "$probe" "$write_load" "$lag_probe"

load=(taskset -c 1 "${first[@]}" "$write_load")
set_command=(SET key:__rand_int__ "$value")

# Name, commands at seconds=1, pipeline, command.
workloads=(
    "SET, pipeline of 16|1500000|16|${set_command[*]}"
    "SET, no pipeline|150000|1|${set_command[*]}"
    "HSET, one hash, pipeline of 16|1000000|16|HSET hash:ROUND field:__rand_int__ $value"
)

# Each round appends its figures, in columns, to $work/NAME.runs.
most() { sort -k "$2,$2gr" "$work/$1.runs" | awk -v n="$2" 'NR == 1 { print $n }'; } # NAME COLUMN
least() { sort -k "$2,$2g" "$work/$1.runs" | awk -v n="$2" 'NR == 1 { print $n }'; } # NAME COLUMN
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }

# figure TABLE NAME GOAL TRIVET REDIS
figure() {
    echo "$2|$3|$4|$5" >>"$work/$1.figures"
    progress "$2: $4, Redis $5"
}

table() { # TABLE UNIT
    [[ -e $work/$1.figures ]] || return 0
    echo
    show_figures "$2" <"$work/$1.figures"
}

wanted_any() { # NAME...: whether --match is for one of them
    local name
    for name; do
        [[ ! $name =~ $match ]] || return 0
    done
    return 1
}

ticks_of() { # NAME...
    local name sum=0
    for name; do sum=$((sum + $(cpu_ticks "${pid[$name]}"))); done
    echo "$sum"
}

per_second() { # COMMANDS TICKS
    awk -v n="$1" -v used="$2" -v ticks="$ticks" 'BEGIN { printf "%.0f", n * ticks / (used > 0 ? used : 1) }'
}

# ---- under load ----

start_with_replicas() { # NAME REPLICAS
    local i
    start "$1" 0 1 "${replication_settings[@]}"
    preload "$1"
    for ((i = 1; i <= $2; i++)); do
        start "$1-replica-$i" 1 1 "${replication_settings[@]}"
        follow "$1" "$1-replica-$i"
        until_linked "$1-replica-$i"
    done
    (($2 == 0)) || until_applied "$1" "$2"
    progress "$1 has its replicas"
}

# Servers named after the number of their replicas.
start_all() {
    local side replicas
    for side in "${sides[@]}"; do
        for replicas in 0 1 2; do
            start_with_replicas "$side-$replicas" "$replicas"
            freeze "$side-$replicas"
        done
    done
}

# run_load NAME REPLICAS COMMANDS PIPELINE COMMAND...: commands a second, by the clock, of the primary's processor time,
# and of a replica's.
run_load() {
    local name=$1 count=$2 commands=$3 replicas rate primary replica
    mapfile -t replicas < <(replicas_of "$name")
    only "$name"
    primary=$(ticks_of "$name")
    replica=$(ticks_of "${replicas[@]}")
    rate=$("${load[@]}" "$(port_of "$name")" "$commands" 0 "$4" "$keys" "${@:5}") || fail "no load for $name"
    ((count == 0)) || until_applied "$name" "$count"
    primary=$(($(ticks_of "$name") - primary))
    replica=$(($(ticks_of "${replicas[@]}") - replica))
    echo "$rate $(per_second "$commands" "$primary") $(per_second $((count * commands)) "$replica")" \
        >>"$work/$name.runs"
}

# SIDE REPLICAS COLUMN: with so many replicas against none.
cost() { ratio "$(most "$1-$2" "$3")" "$(most "$1-0" "$3")"; }

under_load() { # NAME COMMANDS PIPELINE COMMAND...
    local name=$1 commands=$2 pipeline=$3 command=("${@:4}") round side replicas
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${sides[@]}"; do
            for replicas in 0 1 2; do
                run_load "$side-$replicas" "$replicas" "$commands" "$pipeline" "${command[@]//ROUND/$round}"
            done
        done
    done
    figure cost "$name: one replica" "at least 0.85" "$(cost trivet 1 1)" "$(cost redis 1 1)"
    figure cost "  by processor time" "at least 0.85" "$(cost trivet 1 2)" "$(cost redis 1 2)"
    figure cost "  two replicas, by processor time" "" "$(cost trivet 2 2)" "$(cost redis 2 2)"
    figure applied "$name" "at least 1.5 times" "$(most trivet-1 3)" "$(most redis-1 3)"
}

# ---- catching up ----

# The primary has nothing else to do meanwhile.
catch_up() { # SIDE COMMANDS
    local name=$1-1 replica=$1-1-replica-1 begin used
    only "$name"
    kill -STOP "${pid[$replica]}"
    "${load[@]}" "$(port_of "$name")" "$2" 0 16 "$keys" "${set_command[@]}" >/dev/null || fail "no load for $name"
    used=$(ticks_of "$replica")
    begin=$EPOCHREALTIME
    kill -CONT "${pid[$replica]}"
    until_applied "$name" 1
    used=$(($(ticks_of "$replica") - used))
    awk -v begin="$begin" -v end="$EPOCHREALTIME" -v n="$2" -v rate="$(per_second "$2" "$used")" \
        'BEGIN { printf "%.0f %s\n", n / (end - begin), rate }' >>"$work/$name.runs"
}

catching_up() {
    local round side
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${sides[@]}"; do catch_up "$side" $((1500000 * seconds)); done
    done
    figure applied "After a stop: SET, by the clock" "at least 1.5 times" "$(most trivet-1 1)" "$(most redis-1 1)"
    figure applied "  by processor time" "at least 1.5 times" "$(most trivet-1 2)" "$(most redis-1 2)"
}

# ---- lag ----

lag_under() { # SIDE SETS_A_SECOND (0: as many as are answered)
    local name=$1-1 replica=$1-1-replica-1 load_pid
    only "$name"
    must "$replica" CONFIG SET notify-keyspace-events Kh >/dev/null
    "${load[@]}" "$(port_of "$name")" 0 "$2" 50 "$keys" "${set_command[@]}" >"$work/rate" &
    load_pid=$!
    taskset -c 1 "${first[@]}" "$lag_probe" "$(port_of "$name")" "$(port_of "$replica")" 200 $((5 * seconds)) \
        >"$work/lag" || fail "no lag of $replica"
    kill -TERM "$load_pid" || true # if it is gone, it says why
    wait "$load_pid" || fail "no load for $name"
    must "$replica" CONFIG SET notify-keyspace-events "" >/dev/null
    until_applied "$name" 1
    awk '$1 == "lag" { printf "%.2f %.2f\n", $3 / 1000, $4 / 1000 }' "$work/lag" >>"$work/$name.runs"
}

lag() { # NAME SETS_A_SECOND
    local round side
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${sides[@]}"; do lag_under "$side" "$2"; done
    done
    figure lag "$1: median" "" "$(least trivet-1 1)" "$(least redis-1 1)"
    figure lag "  99 %" "" "$(least trivet-1 2)" "$(least redis-1 2)"
}

compare_all_replicas() {
    local side replicas
    for side in "${sides[@]}"; do
        for replicas in 1 2; do
            only "$side-$replicas"
            compare_replicas "$side-$replicas"
        done
    done
}

measure_under_load() {
    local workload name commands pipeline text command
    wanted_any "${workloads[@]%%|*}" "After a stop" Lag || return 0
    start_all
    for workload in "${workloads[@]}"; do
        IFS='|' read -r name commands pipeline text <<<"$workload"
        read -ra command <<<"$text"
        ! wanted_any "$name" || under_load "$name" $((commands * seconds)) "$pipeline" "${command[@]}"
    done
    ! wanted_any "After a stop" || catching_up
    ! wanted_any Lag || lag "Lag, 50,000 SET a second" 50000
    ! wanted_any Lag || lag "Lag, SET as fast as answered" 0
    compare_all_replicas
    stop_all
    pid=()
}

# ---- full synchronization ----
#
# The primary may use both cores, so that the saving thread or process has one. The replica, a new one each time, shares
# core 1 with the probe or the load, which come first. The time counts from REPLICAOF until it has loaded everything.

new_replica() { # SIDE
    local name=$1-replica
    if [[ ${pid[$name]:-} ]]; then
        kill -KILL "${pid[$name]}"
        wait "${pid[$name]}" 2>/dev/null || true
        unset "pid[$name]"
        rm -rf "${work:?}/$name"
    fi
    start "$name" 1 1 "${replication_settings[@]}"
}

synchronize() { # SIDE [COMMAND...]: which is run again and again meanwhile
    follow "$1" "$1-replica"
    until_linked "$1-replica" "${@:2}"
    until_applied "$1" 1
}

# The time, and the processor time of both servers.
time_synchronization() { # SIDE
    local side=$1 begin primary replica
    new_replica "$side"
    primary=$(ticks_of "$side")
    replica=$(ticks_of "$side-replica")
    begin=$EPOCHREALTIME
    synchronize "$side"
    awk -v begin="$begin" -v end="$EPOCHREALTIME" -v primary=$(($(ticks_of "$side") - primary)) \
        -v replica=$(($(ticks_of "$side-replica") - replica)) -v ticks="$ticks" \
        'BEGIN { printf "%.2f %.2f %.2f\n", end - begin, primary / ticks, replica / ticks }' >>"$work/$side.runs"
    compare_replicas "$side"
}

# How long GETs take on the primary, without and with one going on.
probe_synchronization() { # SIDE
    local side=$1
    new_replica "$side"
    probe_for "$side" $((3 * seconds)) "$work/idle" GET
    probe_done "$work/idle"
    probe_for "$side" $((2 * sync_deadline)) "$work/busy" GET
    synchronize "$side"
    probe_end "$work/busy"
    field "$work/idle" GET 5 >>"$work/$side-idle.runs"
    field "$work/busy" GET 5 >>"$work/$side-busy.runs"
}

note_peak() { # SIDE
    local now
    now=$(resident "$1")
    ((now <= peak)) || peak=$now
}

# The most memory that the primary holds meanwhile, against before.
memory_of_synchronization() { # SIDE FILE
    local before peak=0
    new_replica "$1"
    before=$(resident "$1")
    synchronize "$1" note_peak "$1"
    ((peak > 0)) || fail "the synchronization of $1 was over before its memory was looked at"
    ratio "$peak" "$before" >"$2"
}

memory_under_load() { # SIDE FILE
    local load_pid
    "${load[@]}" "$(port_of "$1")" 0 20000 20 "$snapshot_keys" "${set_command[@]}" >"$work/rate" &
    load_pid=$!
    sleep "$seconds"
    memory_of_synchronization "$1" "$2"
    kill -TERM "$load_pid" || true # if it is gone, it says why
    wait "$load_pid" || fail "no load for $1"
}

synchronize_by() { # diskless|disk
    local side round setting=yes t=$work/trivet r=$work/redis
    [[ $1 == diskless ]] || setting=no
    rm -f "$work"/*.runs
    for ((round = 0; round < rounds; round++)); do
        for side in "${sides[@]}"; do
            only "$side"
            must "$side" CONFIG SET repl-diskless-sync "$setting" >/dev/null
            time_synchronization "$side"
            probe_synchronization "$side"
            ((round == 0)) || continue
            memory_of_synchronization "$side" "$work/$side.memory"
            memory_under_load "$side" "$work/$side.memory-load"
        done
    done
    figure sync "${1^}: seconds" "" "$(least trivet 1)" "$(least redis 1)"
    figure sync "  of the primary's processor time" "" "$(least trivet 2)" "$(least redis 2)"
    figure sync "  of the replica's processor time" "" "$(least trivet 3)" "$(least redis 3)"
    figure sync "  GET on the primary, 99.9 %, before, us" "" "$(least trivet-idle 1)" "$(least redis-idle 1)"
    figure sync "  meanwhile" "" "$(least trivet-busy 1)" "$(least redis-busy 1)"
    figure sync "  times" "at most 2" "$(ratio "$(least trivet-busy 1)" "$(least trivet-idle 1)")" \
        "$(ratio "$(least redis-busy 1)" "$(least redis-idle 1)")"
    figure sync "  memory of the primary, times" "at most 1.10" "$(<"$t.memory")" "$(<"$r.memory")"
    figure sync "  under 20,000 SET a second, times" "" "$(<"$t.memory-load")" "$(<"$r.memory-load")"
}

measure_synchronization() {
    local side how
    wanted_any diskless disk || return 0
    for side in "${sides[@]}"; do
        start "$side" 0,1 1 "${replication_settings[@]}"
        preload "$side" "$snapshot_keys"
        freeze "$side"
    done
    for how in diskless disk; do
        ! wanted_any "$how" || synchronize_by "$how"
    done
}

measure_under_load
measure_synchronization

echo "Replication, over the loopback's TCP."
table cost "A primary with replicas against none, times"
table applied "Commands a second of a replica's processor time"
table lag "Milliseconds from a write's answer to the replica"
table sync "Full synchronization of $snapshot_keys keys"
