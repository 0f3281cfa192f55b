# scripts.sh: scripts in Lua, of which much of the time is Lua's own; and what other clients feel while one connection
# keeps the server busy with scripts.

# The usual way to drop a lock that may have run out and be another's by now.
lock_release='if redis.call("get",KEYS[1]) == ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end'
# At most ARGV[3] calls in any ARGV[2] milliseconds; ARGV[1] is the time, ARGV[4] names the call.
limiter='local now, span, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call("zremrangebyscore", KEYS[1], "-inf", now - span)
local used = redis.call("zcard", KEYS[1])
if used >= most then return 0 end
redis.call("zadd", KEYS[1], now, ARGV[4])
redis.call("pexpire", KEYS[1], span)
return most - used - 1'
take_and_release="redis.call(\"set\",KEYS[1],ARGV[1])
$lock_release"
json='local t = cjson.decode(ARGV[1]) t.n = t.n + 1 return cjson.encode(t)'
spin='local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return redis.call("incrby", KEYS[1], n)'
spins=20000 # about 0.2 ms

# A document of about 1 KB.
document() {
    awk 'BEGIN {
        printf "{\"n\":1,\"user\":{\"id\":4711,\"name\":\"Jo Miller\",\"admin\":false,\"mail\":null},\"items\":["
        for (i = 0; i < 14; i++)
            printf "%s{\"id\":%d,\"name\":\"item number %d\",\"price\":%.2f,\"tags\":[\"a\",\"b\"]}", (i ? "," : ""),
                i, i, i * 1.25
        print "]}"
    }'
}

declare -A sha
load() { # NAME TEXT: into both
    local side
    for side in "${sides[@]}"; do
        only "$side"
        sha[$1]=$(must "$side" SCRIPT LOAD "$2")
    done
}

# script NAME REQUESTS ARGS...: if its name matches.
script() {
    [[ $1 =~ $match ]] || return 0
    compare trivet redis "$1" 1.2 $(($2 * seconds)) 1 -c 50 -P 16 -r 100000 "${@:3}"
}

for side in "${sides[@]}"; do
    start "$side" 0 1
    must "$side" SET lock:held token >/dev/null
    kill -STOP "${pid[$side]}"
done
load one "return 1"
load release "$lock_release"
load both "$take_and_release"
load limiter "$limiter"
load json "$json"

script PING 1500000 PING
script "EVALSHA return 1" 600000 EVALSHA "${sha[one]}" 0
script "EVAL return 1" 600000 EVAL "return 1" 0
script "EVALSHA lock release, no key" 400000 EVALSHA "${sha[release]}" 1 lock:__rand_int__ token
script "EVAL lock release, no key" 400000 EVAL "$lock_release" 1 lock:__rand_int__ token
script "EVALSHA lock release, not ours" 400000 EVALSHA "${sha[release]}" 1 lock:held other
script "EVALSHA lock taken and released" 300000 EVALSHA "${sha[both]}" 1 lock:__rand_int__ token
script "EVALSHA rate limiter, full" 300000 EVALSHA "${sha[limiter]}" 1 limit:full 1000 60000 10 m:__rand_int__
script "EVALSHA rate limiter, open" 150000 EVALSHA "${sha[limiter]}" 1 limit:ROUND:__rand_int__ __rand_int__ 60000 \
    1000000 m:__rand_int__
script "EVAL rate limiter, open" 150000 EVAL "$limiter" 1 limit:eval:ROUND:__rand_int__ __rand_int__ 60000 \
    1000000 m:__rand_int__
script "EVALSHA cjson, 1 KB" 40000 EVALSHA "${sha[json]}" 0 "$(document)"

echo "Scripts: 50 clients on core 1, pipelines of 16, one worker on core 0. EVAL sends the whole text each time."
show_results Trivet Redis
stop trivet
stop redis

# ---- GETs beside scripts ----

[[ "GETs beside scripts" =~ $match ]] || return 0
[[ -x $probe ]] || fail "$probe is missing: build it, \`make bench\` does"
probe_rate=4000
first=()
if chrt -f 10 true 2>/dev/null; then first=(chrt -f 10); fi

probe_now() { # NAME FILE
    local where=${at[$1]#-s }
    taskset -c 1 "${first[@]}" "$probe" "${where##* }" 100000 "$probe_rate" $((3 * seconds)) >"$work/$1.$2"
}

# beside NAME: latencies with and without scripts, into $work/NAME.quiet and NAME.busy.
beside() {
    local stream
    only "$1"
    probe_now "$1" quiet
    # shellcheck disable=SC2086
    taskset -c 1 redis-benchmark ${at[$1]} -c 1 -l -q EVALSHA "${sha[spin]}" 1 counter "$spins" >/dev/null 2>&1 &
    stream=$!
    sleep 0.3
    probe_now "$1" busy
    kill -TERM "$stream" || fail "redis-benchmark ended early"
    wait "$stream" 2>/dev/null || true
}

declare -A threads=([trivet]=2 [redis]=1)
for side in "${sides[@]}"; do
    start "$side" 0,1 "${threads[$side]}"
    preload "$side" 100000
    kill -STOP "${pid[$side]}"
done
load spin "$spin"
for ((round = 0; round < rounds; round++)); do
    for side in "${sides[@]}"; do
        beside "$side"
        for kind in quiet busy; do
            awk '$1 == "GET" { print $3, $4, $6 }' "$work/$side.$kind" >>"$work/$side.$kind.all"
        done
        progress "GET on $side, microseconds: $(awk '{ print $1, $2, $3 }' <(tail -n 1 "$work/$side.busy.all"))"
    done
done

# Of all rounds the least of each column.
least() { awk -v n="$2" 'NR == 1 || $n < least { least = $n } END { print least }' "$1"; }

for kind in quiet busy; do
    for column in "1|median" "2|99 %" "3|maximum"; do
        IFS='|' read -r n name <<<"$column"
        [[ $kind == quiet ]] || name="$name, beside scripts"
        echo "GET, $name||$(least "$work/trivet.$kind.all" "$n")|$(least "$work/redis.$kind.all" "$n")"
    done
done >"$work/figures"
for side in "${sides[@]}"; do
    only "$side"
    must "$side" INFO commandstats | tr -d '\r' |
        awk -F '[=,]' '$1 ~ /^cmdstat_evalsha:/ { printf "%.0f\n", $6 }' >"$work/$side.script"
done
echo "A script||$(<"$work/trivet.script")|$(<"$work/redis.script")" >>"$work/figures"
echo
echo "One connection that sends scripts without a pause; 16 others read and write, $probe_rate requests a second in all."
echo "Trivet has two workers; servers on both cores, microseconds from when a request was due; best of $rounds."
show_figures "Microseconds" <"$work/figures"
