# probes.sh: programs of ours that look at a server while it works, and what its memory is; sourced by run.

programs=$(dirname "$trivet")/bench
probe=$programs/latency_probe
probe_rate=10000

# In front of a program that must not be late because of others on its core; empty if that is not allowed.
first=()
if chrt -f 10 true 2>/dev/null; then first=(chrt -f 10); fi

need() { # PROGRAM...
    local program
    for program; do
        [[ -x $program ]] || fail "$program is missing: build it, \`make bench\` does"
    done
}

address() { # NAME: as the probe takes it
    [[ $transport == unix ]] && echo "${at[$1]#-s }" || echo "${at[$1]##* }"
}

probe_for() { # NAME SECONDS FILE [GET|SET]: in the background
    taskset -c 1 "${first[@]}" "$probe" "$(address "$1")" "$snapshot_keys" "$probe_rate" "$2" "${@:4}" \
        >"$3" 2>"$3.errors" &
    probe_pid=$!
}

probe_done() { # FILE
    wait "$probe_pid" || fail "$(<"$1.errors")"
}

probe_end() { # FILE: before its time is over
    kill -TERM "$probe_pid" || true # if it is gone, its words follow
    probe_done "$1"
}

# field FILE GET|SET N: of what the probe printed.
field() { awk -v kind="$2" -v n="$3" '$1 == kind { print $n }' "$1"; }

# What the process and its children hold, pages that they share counted once.
resident() { # NAME
    local process
    for process in "${pid[$1]}" $(pgrep -P "${pid[$1]}"); do
        cat "/proc/$process/smaps_rollup" 2>/dev/null || true
    done | awk '$1 == "Pss:" { kb += $2 } END { print kb }'
}
