# replicas.sh: primaries and their replicas; sourced by run. All of them need ports: transport=tcp.

# The same for every server. A frozen one must not lose its link, nor a slow one, and no server speaks unasked.
replication_settings=(--repl-diskless-sync-delay 0 --repl-timeout 3600 --repl-ping-replica-period 1800
    --repl-backlog-size 256mb --client-output-buffer-limit "replica 0 0 0")
sync_deadline=300 # seconds

port_of() { echo "${tcp_at[$1]##* }"; } # NAME

replicas_of() { # NAME
    local name
    for name in "${!pid[@]}"; do
        [[ $name == "$1" ]] || ! is_of "$name" "$1" || echo "$name"
    done
}

replication() { # NAME FIELD: of INFO replication; empty if it is not there
    cli "$1" INFO replication | tr -d '\r' | awk -F : -v field="$2" '$1 == field { print $2 }'
}

follow() { # PRIMARY REPLICA
    must "$2" REPLICAOF 127.0.0.1 "$(port_of "$1")" >/dev/null
}

# until_linked REPLICA [COMMAND...]: runs the command at each look.
until_linked() {
    local end=$((SECONDS + sync_deadline))
    until [[ $(replication "$1" master_link_status) == up ]]; do
        ((SECONDS < end)) || { tail -n 5 "$work/$1/log" >&2; fail "$1 has no link to its primary"; }
        "${@:2}"
        sleep 0.02
    done
}

# until_applied PRIMARY COUNT: so many replicas have applied all that was written.
until_applied() {
    local there
    there=$(printf 'SET applied 1\nWAIT %d %d\n' "$2" $((1000 * sync_deadline)) | cli "$1" | tail -n 1)
    [[ $there == "$2" ]] || fail "replicas of $1 that have applied all: $there instead of $2"
}

# Its replicas have what it has: nothing was lost on the way, or the figures would say nothing.
compare_replicas() { # NAME
    local name primary replica
    primary="$(must "$1" DBSIZE) keys, offset $(replication "$1" master_repl_offset)"
    for name in $(replicas_of "$1"); do
        replica="$(must "$name" DBSIZE) keys, offset $(replication "$name" master_repl_offset)"
        [[ $primary == "$replica" ]] || fail "$1 has $primary; $name has $replica"
    done
}
