#!/bin/sh
# docker-entrypoint.sh: what every container of the image runs first; and what `trivet-server`, `redis-server` and
# `valkey-server` are in it, so that `sh -c 'redis-server ...'` ends as a server without privileges too.
#
#   docker run trivet                              the server with its defaults
#   docker run trivet --maxmemory 1gb              the same with flags
#   docker run trivet cache.conf --maxmemory 4gb   with a conf file: a path, or the name of one of /etc/trivet
#   docker run trivet redis-cli -h other PING      any other command is run as it is
#
# A server that is started as root takes /data into possession and goes on as the user `trivet`. SKIP_FIX_PERMS=1 and
# SKIP_DROP_PRIVS=1 keep it from the one and the other. As any other user it runs as that user.
#
# The password is in one of these, where X is TRIVET, VALKEY or REDIS; more than one of them is an error:
#
#   X_PASSWORD                the password itself
#   X_PASSWORD_FILE           a file with the password in its first line
#   /run/secrets/x_password   such a file (x is trivet, valkey or redis), if nothing else says who may log in: neither
#                             these variables, nor flags or conf file (requirepass, requirepass-file, user, aclfile)
#
# The server gets it as `requirepass-file`: the file, or a pipe where the server's user cannot read the file. So it is in no
# list of processes, in no file of ours, and not in the server's environment. TRIVET_EXTRA_FLAGS, VALKEY_EXTRA_FLAGS and
# REDIS_EXTRA_FLAGS are split at blanks and added to the arguments.
#
# Protected mode is off unless flags or conf file set it: the container's network decides who can connect.
set -eu

user=trivet
programs=/usr/bin # here the names of the server are links to the program itself
confs=/etc/trivet
data=/data
secrets=/run/secrets
variables='TRIVET_PASSWORD TRIVET_PASSWORD_FILE VALKEY_PASSWORD VALKEY_PASSWORD_FILE REDIS_PASSWORD REDIS_PASSWORD_FILE'
newline='
'

warn() {
    echo "docker-entrypoint.sh: $1" >&2
}

fail() {
    warn "$1"
    exit 1
}

# ---- what is asked for ----

is_server_name() {
    case $1 in
    trivet-server | redis-server | valkey-server) return 0 ;;
    esac
    return 1
}

# Does the server end after this first argument, without serving?
is_question() {
    case ${1-} in
    -v | --version | -h | --help | --check-system | --test-memory | --check-aof | --check-rdb | --sentinel | health) return 0 ;;
    esac
    return 1
}

# conf_path NAME: the path of a conf file: NAME, or one of the image's if there is no such file here.
conf_path() {
    case $1 in
    */* | -) ;;
    *)
        if [ ! -e "$1" ] && [ -e "$confs/$1" ]; then
            echo "$confs/$1"
            return
        fi
        ;;
    esac
    printf '%s\n' "$1"
}

# conf_says DIRECTIVES FILE [DEPTH]: does the file, or one that it includes, have one of these directives ("a|b|c")? In a
# subshell, because the variables of a call have to outlive the calls inside it.
conf_says() (
    directives=$1 file=$2 depth=${3:-0}
    { [ -f "$file" ] && [ -r "$file" ] && [ "$depth" -lt 16 ]; } || exit 1
    if grep -Eiq "^[[:space:]]*\"?($directives)\"?[[:space:]]" "$file"; then exit 0; fi
    for pattern in $(sed -n 's/^[[:space:]]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee][[:space:]]*//p' "$file" | tr -d "\"'"); do
        if conf_says "$directives" "$pattern" $((depth + 1)); then exit 0; fi
    done
    exit 1
)

# flags_say DIRECTIVES FLAG...: is one of them among the flags?
flags_say() {
    directives=$1
    shift
    for word; do
        if printf '%s\n' "$word" | grep -Eiq "^--($directives)([[:space:]]|\$)"; then return 0; fi
    done
    return 1
}

# says DIRECTIVES FLAG...: conf file or flags.
says() {
    if [ "$conf" ] && conf_says "$1" "$conf"; then return 0; fi
    flags_say "$@"
}

# ---- the password ----

# first_line FILE SOURCE: sets `line` to the password in the file that SOURCE names.
first_line() {
    [ -e "$1" ] || fail "$2: there is no file $1"
    [ ! -d "$1" ] || fail "$2: $1 is a folder"
    [ -r "$1" ] || fail "$2: user $(id -u) may not read $1"
    line=''
    IFS= read -r line <"$1" || :
    line=${line%"$(printf '\r')"}
    [ "$line" ] || fail "$2: $1 has no password in its first line"
}

# Sets `source` to the name of the one variable that gives a password, and `value` to what it has; or both to nothing.
find_variable() {
    source='' value=''
    for variable in $variables; do
        eval "is_set=\${$variable+yes} found=\${$variable-}"
        [ "$is_set" ] || continue
        [ "$found" ] || fail "$variable is empty; for a server without a password, do not set it"
        [ ! "$source" ] || fail "$source and $variable are both set; one of them is enough"
        source=$variable value=$found
    done
}

# The same with the files of /run/secrets.
find_secret() {
    for secret in trivet_password valkey_password redis_password; do
        [ -e "$secrets/$secret" ] || continue
        [ ! "$source" ] || fail "$source and $secrets/$secret are both there; say by REDIS_PASSWORD_FILE which one it is"
        source=$secrets/$secret value=$secrets/$secret
    done
}

# find_password FLAG...: the same, wherever it may be.
find_password() {
    find_variable
    if [ ! "$source" ]; then
        says 'requirepass|requirepass-file|user|aclfile' "$@" || find_secret
    elif says 'requirepass|requirepass-file' "$@"; then
        fail "$source is set, and flags or conf file give a password too; one of them is enough"
    fi
}

source_is_file() {
    case $source in
    *_FILE | /* | --*) return 0 ;;
    esac
    return 1
}

# ---- as root ----

# has_capability NUMBER: root in a container need not have them all.
has_capability() {
    mask=$(sed -n 's/^CapEff:[[:space:]]*/0x/p' /proc/self/status)
    [ $((mask >> $1 & 1)) = 1 ]
}

# Only what is another user's is changed; and of a link, itself, not what it points to.
take_data() {
    if [ "${SKIP_FIX_PERMS-}" ] || [ ! -d "$data" ]; then return; fi
    find "$data" ! -user "$user" -exec chown -h "$user" '{}' + ||
        warn "not everything in $data could be given to $user: the server may be unable to write there"
}

as_user() {
    setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs "$@"
}

# If only root can read the file `value`, it is read here, and the next start of this script finds TRIVET_PASSWORD.
read_for_user() {
    if [ ! -e "$value" ] || [ -d "$value" ] || as_user test -r "$value"; then return 1; fi
    first_line "$value" "$source"
    # shellcheck disable=SC2086 # several names
    unset $variables
    export TRIVET_PASSWORD="$line"
}

# become_user FLAG...: this script once more, without privileges. Returns if root has to stay.
become_user() {
    if [ "${SKIP_DROP_PRIVS-}" ]; then return; fi
    if ! has_capability 6 || ! has_capability 7; then
        warn "this root may not become $user (CAP_SETGID, CAP_SETUID): the server runs as root"
        return
    fi
    take_data
    find_password "$@"
    if source_is_file; then read_for_user || :; fi
    left=$#
    while [ "$left" -gt 0 ]; do
        # A file that the flags name may be root's too.
        if [ "$1" = --requirepass-file ] && [ "$left" -gt 1 ] && [ ! "$source" ]; then
            value=$2
            if source=$1 && read_for_user; then
                shift 2
                left=$((left - 2))
                continue
            fi
        fi
        set -- "$@" "$1"
        shift
        left=$((left - 1))
    done
    exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs "$self" "$server" ${conf:+"$conf"} "$@"
}

# ---- the server ----

# start FLAG...: becomes the server. Our flags come first, so that the user's win. What a conf on standard input says of
# protected mode is not known here, so it stays as it is.
start() {
    # shellcheck disable=SC2086 # several names
    unset $variables
    case " $conf $* " in
    *' - '*) ;;
    *) says protected-mode "$@" || set -- --protected-mode no "$@" ;;
    esac
    if [ ! "$source" ]; then
        exec "$programs/$server" ${conf:+"$conf"} "$@"
    elif source_is_file; then
        first_line "$value" "$source" # or fails with the reason
        if [ -f "$value" ]; then exec "$programs/$server" ${conf:+"$conf"} --requirepass-file "$value" "$@"; fi
        value=$line # what is no file can be read once only
    fi
    start_with_pipe "$@"
}

# dash writes a here-document of less than a page into a pipe before it goes on: no other process has to live until it is
# read. A server that starts itself anew (DEBUG RESTART) finds it empty, and ends, which is the safe way.
start_with_pipe() {
    case $value in
    *"$newline"*) fail "$source has more than one line" ;;
    esac
    [ "${#value}" -le 2048 ] || fail "$source is longer than 2048 bytes"
    exec "$programs/$server" ${conf:+"$conf"} --requirepass-file /proc/self/fd/3 "$@" 3<<END
$value
END
}

# serve SERVER ARG...
serve() {
    server=$1 conf=''
    shift
    if is_question "$@"; then exec "$programs/$server" "$@"; fi
    set -f
    # shellcheck disable=SC2086 # to be split at blanks
    set -- "$@" ${TRIVET_EXTRA_FLAGS-} ${VALKEY_EXTRA_FLAGS-} ${REDIS_EXTRA_FLAGS-}
    set +f
    unset TRIVET_EXTRA_FLAGS VALKEY_EXTRA_FLAGS REDIS_EXTRA_FLAGS
    case ${1-} in
    '' | --*) ;;
    *)
        conf=$(conf_path "$1")
        shift
        ;;
    esac
    if [ "$(id -u)" = 0 ]; then become_user "$@"; fi
    if [ "$(umask)" = 0022 ]; then umask 0077; fi
    find_password "$@"
    start "$@"
}

# ---- the beginning ----

# Is this text for a shell one command, the server? Then the shell need not outlive it.
is_server_alone() {
    case $1 in
    *[\;\&\|]* | *"$newline"*) return 1 ;;
    esac
    is_server_name "${1%% *}"
}

self=$(readlink -f "$0")
if is_server_name "${0##*/}"; then set -- "${0##*/}" "$@"; fi
case ${1-} in
'' | -* | *.conf) set -- trivet-server "$@" ;;
esac
if is_server_name "${1##*/}"; then
    called=${1##*/}
    shift
    serve "$called" "$@"
fi
# `sh -c 'redis-server ...'`: a shell that is process 1 does not pass on the signal with which containers are stopped.
case "$1 ${2-}" in
'sh -c' | '/bin/sh -c' | 'bash -c' | '/bin/bash -c')
    if [ $# = 3 ] && is_server_alone "$3"; then exec "$1" -c "exec $3"; fi
    ;;
esac
exec "$@"
