# containers.sh: for tests to source: processes in the image's file system, as a container has them: namespaces of their own, a
# private network in which every port is free, the capabilities that Docker leaves to root, the image's environment and
# nothing of this shell's. Only the image's layers are missing: who writes into the system changes it.
#
# The one who sources it sets `image` (the system's folder), `work` (a folder for what comes up) and `entrypoint` (an array).
# Options of start and run: --user UID:GID, --env NAME=VALUE, --workdir FOLDER, --cap-drop-all, --cap-add NAME,
# --no-new-privileges, and those of tests/packaging/chroot.
# shellcheck shell=bash disable=SC2154

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
capabilities=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap
capabilities+=,+net_bind_service,+sys_chroot,+kill,+audit_write

fail() {
    echo "$*"
    exit 1
}

# Becomes process 1 of a container. The environment is exported and not an argument, as that would be in the list of
# processes; so this is for a subshell.
become_container() {
    local name value options=(--private-network --keep-environment) before=() workdir=/data limits=$capabilities
    for name in $(compgen -e); do
        unset "$name"
    done
    export PATH=$path HOME=/root
    while [[ $1 != -- ]]; do
        case $1 in
        --cap-drop-all | --read-only | --no-new-privileges) value='' ;;
        *) value=$2 ;;
        esac
        case $1 in
        --env) export "${value?}" ;;
        --workdir) workdir=$value ;;
        --user) before+=("--reuid=${value%:*}" "--regid=${value#*:}" --clear-groups) ;;
        --cap-drop-all) limits=-all ;;
        --cap-add) limits+=,+$value ;;
        --no-new-privileges) before+=(--no-new-privs) ;;
        *) options+=("$1" ${value:+"$value"}) ;;
        esac
        [[ ! $value ]] || shift
        shift
    done
    shift
    exec "$tools/chroot" run "${options[@]}" "$image" \
        setpriv "--bounding-set=$limits" --inh-caps=-all "${before[@]}" env -C "$workdir" "$@"
}

# What the image's VOLUME is without another: a new folder with the owner of /data. Prints it.
anonymous_volume() {
    local folder
    folder=$(mktemp -d "$work/volume-XXXXXX")
    chmod --reference="$image/data" "$folder"
    chown --reference="$image/data" "$folder"
    echo "$folder"
}

# start [OPTION...] -- COMMAND...: starts one by way of the entry point. Sets `job`, and `pid` to its process 1. What it prints
# goes to $work/output.
start() {
    local entry=("${entrypoint[@]}") words=()
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    if [[ " ${words[*]}" != *[:\ ]/data* ]]; then words+=(--bind "$(anonymous_volume):/data"); fi
    (become_container "${words[@]}" -- "${entry[@]}" "$@") >"$work/output" 2>&1 </dev/null &
    job=$! pid=
    within 60 find_process_1 || fail "no container has come up: $(<"$work/output")"
}

# The one process that unshare has forked; or it is over already.
find_process_1() {
    is_over && return
    [[ $(<"/proc/$job/comm") == unshare ]] || return 1
    pid=$(<"/proc/$job/task/$job/children") pid=${pid%% *} # there is no line end in this file
    [[ $pid ]]
} 2>/dev/null

# run [OPTION...] -- COMMAND...: the same to its end, within a minute. Sets `status`; prints nothing.
run() {
    start "$@" 2>/dev/null || :
    finish 60
}

# within SECONDS COMMAND...: tries until it succeeds. False after that time.
within() {
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

is_over() {
    ! kill -0 "$job" 2>/dev/null
}

# finish SECONDS: waits for its end, or fails. Sets `status`.
finish() {
    within "$1" is_over || fail "it goes on running: $(<"$work/output")"
    status=0
    wait "$job" || status=$?
}

# stop: as `docker stop`.
stop() {
    kill -TERM "$pid"
    finish 60
}

# inside COMMAND...: as `docker exec`, as root.
inside() {
    nsenter --target "$pid" --mount --pid --net --ipc --root --wd env -i PATH="$path" HOME=/root "$@"
}

# ask ARGUMENT...: redis-cli in it, with the password $password and at the port $port if they are set.
ask() {
    inside ${password:+REDISCLI_AUTH="$password"} redis-cli --no-auth-warning -p "${port:-6379}" "$@"
}

answers() {
    is_over && return
    [[ $(ask PING 2>&1) =~ ^(PONG|NOAUTH|WRONGPASS|AUTH failed) ]]
}

# serve [OPTION...] -- COMMAND...: starts one and waits until it answers.
serve() {
    start "$@"
    within 60 answers || fail "the server does not answer: $(<"$work/output")"
    ! is_over || fail "the server has ended: $(<"$work/output")"
}

# Ends what runs, however it is. Its process 1 is ended by itself: that it dies with unshare is forgotten by the kernel when
# it becomes another user.
end_container() {
    local first
    [[ ${job:-} ]] || return 0
    first=$(cat "/proc/$job/task/$job/children" 2>/dev/null) || first=''
    # shellcheck disable=SC2086 # none or one
    kill -KILL $first "$job" 2>/dev/null || :
    wait "$job" 2>/dev/null || :
}

# ---- what is expected ----

# equals WHAT EXPECTED ACTUAL
equals() {
    [[ $2 == "$3" ]] || fail "$1: expected '$2', is '$3'. Output: $(tail -n 5 "$work/output")"
}

# says PATTERN: its output has a line like this.
says() {
    grep -Eq -- "$1" "$work/output" || fail "nothing like '$1' in: $(<"$work/output")"
}

# refuses PATTERN: it ended with status 1, and with the reason.
refuses() {
    equals "exit status" 1 "$status"
    says "$1"
}

# has SETTING VALUE
has() {
    equals "$1" "$2" "$(ask CONFIG GET "$1" | sed -n 2p)"
}

# runs_as UID GID: the server is process 1 and runs as this user, without any capability and without further groups.
runs_as() {
    local facts=/proc/$pid/status
    equals "process 1" trivet-server "$(basename "$(readlink "/proc/$pid/exe")")"
    equals "user" "$1 $1 $1 $1" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$facts")"
    equals "group" "$2 $2 $2 $2" "$(awk '/^Gid:/ { print $2, $3, $4, $5 }' "$facts")"
    equals "further groups" "" "$(awk '/^Groups:/ { $1 = ""; print $0 }' "$facts" | tr -d ' ')"
    equals "capabilities" 0000000000000000 "$(awk '/^CapEff:/ { print $2 }' "$facts")"
}
