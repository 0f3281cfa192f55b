#!/bin/bash
# redis_cli.sh: redis-cli and redis-benchmark of Debian's redis-tools against the cache instance.
set -uo pipefail

read -ra how <<<"${CLI_OPTIONS:-}"
cli=(redis-cli -p "$CACHE_PORT" "${how[@]}")
checks=0 failed=0

# check NAME EXPECTED ACTUAL: patterns of bash.
check() {
    checks=$((checks + 1))
    # shellcheck disable=SC2053 -- the expectation is a pattern
    [[ $3 == $2 ]] && return
    failed=$((failed + 1))
    printf 'FAILED: %s\n  expected %q\n  got      %q\n' "$1" "$2" "$3"
}

# One line of redis-cli --stat, then it is ended.
stat_lines() { timeout 30 "${cli[@]}" --stat -i 0.1 2>&1 | head -n 3; }

"${cli[@]}" FLUSHALL >/dev/null
check "set and get" "v" "$("${cli[@]}" SET k v >/dev/null && "${cli[@]}" GET k)"
check "an error" "*ERR unknown command 'NOSUCH'*" "$("${cli[@]}" NOSUCH 2>&1)"
check "RESP3" "*proto*3*" "$(tr '\n' ' ' < <("${cli[@]}" -3 HELLO))"
check "another database" "0" "$("${cli[@]}" -n 5 DBSIZE)"
check "the unix socket" "PONG" "$(redis-cli -s "$CACHE_SOCKET" PING)"
check "commands from standard input" "OK*1*2" "$(printf 'SET n 0\nINCR n\nINCR n\n' | "${cli[@]}" | tr '\n' ' ' | sed 's/ $//')"
check "a value from standard input" "from stdin" "$(printf 'from stdin' | "${cli[@]}" -x SET x >/dev/null && "${cli[@]}" GET x)"
check "repeat" "3" "$("${cli[@]}" DEL r >/dev/null; "${cli[@]}" -r 3 INCR r | tail -n 1)"
check "COMMAND DOCS" "*summary*arguments*" "$("${cli[@]}" COMMAND DOCS SET | tr '\n' ' ')"
check "COMMAND COUNT" "[1-9]*" "$("${cli[@]}" COMMAND COUNT)"

"${cli[@]}" FLUSHALL >/dev/null
pipe=$(for i in {1..5000}; do printf 'SET pipe:%d value:%d\r\n' "$i" "$i"; done | "${cli[@]}" --pipe 2>&1)
check "--pipe with inline commands" "*errors: 0, replies: 5000*" "$(tr '\n' ' ' <<<"$pipe")"
resp=$(for i in {1..5000}; do k=resp:$i; printf '*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nx\r\n' ${#k} "$k"; done |
    "${cli[@]}" --pipe 2>&1)
check "--pipe with RESP" "*errors: 0, replies: 5000*" "$(tr '\n' ' ' <<<"$resp")"
check "the keys are there" "10000" "$("${cli[@]}" DBSIZE)"
check "--scan" "5000" "$("${cli[@]}" --scan --pattern 'pipe:*' | sort -u | wc -l)"
check "--scan of everything" "10000" "$("${cli[@]}" --scan | wc -l)"
check "--bigkeys" "*Sampled 10000 keys*10000 strings*" "$("${cli[@]}" --bigkeys 2>&1 | tr '\n' ' ')"
check "--memkeys" "*Sampled 10000 keys*" "$("${cli[@]}" --memkeys 2>&1 | tr '\n' ' ')"
check "--stat" "*keys*10000*" "$(stat_lines | tr '\n' ' ')"
check "INFO" "*redis_version:7*trivet_version:*" "$("${cli[@]}" INFO server | tr '\r\n' '  ')"
check "CONFIG GET" "maxmemory-policy*" "$("${cli[@]}" CONFIG GET maxmemory-policy | tr '\n' ' ')"
check "latency" "[0-9]*" "$(timeout 30 "${cli[@]}" --raw --latency -i 1 </dev/null | head -c 40)"

subscriber=$(mktemp)
"${cli[@]}" SUBSCRIBE cli-channel >"$subscriber" &
subscriber_pid=$!
for ((i = 0; i < 600; i++)); do
    [[ $("${cli[@]}" PUBLISH cli-channel hello) == 1 ]] && break
    sleep 0.1
done
for ((i = 0; i < 600; i++)); do
    grep -q hello "$subscriber" && break
    sleep 0.1
done
kill "$subscriber_pid"
wait "$subscriber_pid" 2>/dev/null
check "SUBSCRIBE" "subscribe*cli-channel*1*message*cli-channel*hello*" "$(tr '\n' ' ' <"$subscriber")"
rm -f "$subscriber"

for options in "-P 16" "-P 1" "-P 16 --threads 2" "-P 16 -3"; do
    # shellcheck disable=SC2086 -- the options are words
    bench=$(redis-benchmark -p "$CACHE_PORT" "${how[@]}" -t ping,set,get,incr,mset -n 4000 -r 1000 -c 20 --csv $options 2>&1)
    check "redis-benchmark $options" "7" "$(grep -c '^"[A-Z(]' <<<"$bench" | awk '{ print ($1 >= 6) ? 7 : $1 }')"
    check "redis-benchmark $options says nothing else" "" "$(grep -iE 'error|warning' <<<"$bench")"
done

"${cli[@]}" FLUSHALL >/dev/null
echo "$checks checks, $failed failed"
[[ $failed == 0 ]]
