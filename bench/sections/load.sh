# load.sh: the time from the start of a server to its first answer, with a data set to load: from an RDB file, from
# an append-only file of commands, and from one whose base is an RDB file. Each server loads the files that it wrote
# itself: the same keys, a million strings and 300,000 small values of other types.

data() {
    many hash 100000 10
    many zset 100000 10
    many list 50000 10
    many set 50000 10
}

# Starts a server; prints the seconds until its first answer, and the seconds of its processor time.
time_start() { # NAME FILE ARGS...
    local begin=$EPOCHREALTIME end
    start "$1" 0,1 1 "${@:3}"
    end=$EPOCHREALTIME
    awk -v begin="$begin" -v end="$end" -v used="$(cpu_ticks "${pid[$1]}")" -v ticks="$ticks" \
        'BEGIN { printf "%.2f %.2f\n", end - begin, used / ticks }' >>"$2"
}

# Starts a server once in each round; prints the least seconds and the least processor seconds.
best_start() { # NAME KEYS ARGS...
    local round there
    for ((round = 0; round < rounds; round++)); do
        time_start "$1" "$work/$1.seconds" "${@:3}"
        there=$(must "$1" DBSIZE)
        [[ $there == "$2" ]] || fail "$1 loaded $there keys of $2"
        kill -KILL "${pid[$1]}"
        wait "${pid[$1]}" 2>/dev/null || true
        unset "pid[$1]"
    done
    awk 'NR == 1 || $1 < wall { wall = $1 } NR == 1 || $2 < cpu { cpu = $2 } END { print wall, cpu }' "$work/$1.seconds"
    rm "$work/$1.seconds"
}

until_rewritten() { # NAME
    local in_progress=1 status
    must "$1" BGREWRITEAOF >/dev/null
    while [[ $in_progress != 0 ]]; do
        sleep 0.1
        in_progress=$(info "$1" aof_rewrite_in_progress)
        [[ $in_progress ]] || fail "$1 does not tell aof_rewrite_in_progress"
    done
    status=$(info "$1" aof_last_bgrewrite_status)
    [[ $status == ok ]] || fail "$1 could not rewrite its append-only file: $status"
}

# prepare NAME FORM: fills the server, has the files written and ends it.
prepare() {
    local name=$1 form=$2
    if [[ $form == rdb ]]; then
        start "$name" 0,1 1
    else
        start "$name" 0,1 1 "${appending[@]}" --aof-use-rdb-preamble "$([[ $form == base ]] && echo yes || echo no)"
    fi
    preload "$name"
    data | pour "$name"
    must "$name" DBSIZE >"$work/$name.keys"
    case $form in
    rdb) must "$name" SAVE >/dev/null ;;
    base) until_rewritten "$name" ;;
    esac
    stop "$name"
}

appending=(--appendonly yes --appendfsync everysec --auto-aof-rewrite-percentage 0)
declare -A words=([rdb]="RDB file" [commands]="append-only file of commands" [base]="append-only file with an RDB base")
missing=0
for form in rdb commands base; do
    [[ ${words[$form]} =~ $match ]] || continue
    for side in "${sides[@]}"; do
        settings=()
        [[ $form == rdb ]] || settings=("${appending[@]}")
        # In a process of its own: what cannot be done in one form does not keep the others from it.
        set +e
        (
            set -e
            trap stop_all EXIT
            prepare "$side-$form" "$form"
            best_start "$side-$form" "$(<"$work/$side-$form.keys")" "${settings[@]}" >"$work/$side.$form"
        )
        (($? == 0)) || missing=1
        set -e
        rm -rf "${work:?}/$side-$form"
        progress "${words[$form]}, $side: $(cat "$work/$side.$form" 2>/dev/null || echo not measured)"
    done
    [[ -s $work/trivet.$form && -s $work/redis.$form ]] || continue
    awk -v name="${words[$form]}" -v t="$(<"$work/trivet.$form")" -v r="$(<"$work/redis.$form")" 'BEGIN {
        split(t, mine)
        split(r, other)
        printf "%s|at most 0.67 (1.5 times the speed)|%s|%s\n", name, mine[1], other[1]
        printf "%s, of a processor||%s|%s\n", name, mine[2], other[2]
    }' >>"$work/figures"
done
[[ ! -s $work/figures ]] || show_figures "Seconds from start to the first answer" <"$work/figures"
((missing == 0)) || fail "some files could not be written or loaded"
