# tls.sh: the same under TLS, over the loopback: GET and SET of 32 bytes, and full handshakes (a connection for each
# command; RSA 2048, no session is resumed).

workloads=(
    "GET, no pipeline|1.1|100000|-t get"
    "SET, no pipeline|1.1|100000|-t set"
    "GET, pipeline of 16|1.1|600000|-t get -P 16"
    "SET, pipeline of 16|1.1|600000|-t set -P 16"
    "GET of 100 KB|1.1|6000|GET big"
    "Handshake and PING|1.1|1500|-k 0 -t ping_mbulk"
)

"$here/../tests/clients/certificates" "$work" >"$work/certificates" 2>&1 ||
    { cat "$work/certificates" >&2; fail "cannot make certificates"; }

start_tls() { # NAME CORES WORKERS
    local port
    port=$(free_port)
    tcp_at[$1]="-h localhost -p $port --tls --cacert $work/ca.crt"
    start "$1" "$2" "$3" --tls-port "$port" --tls-cert-file "$work/server.crt" --tls-key-file "$work/server.key" \
        --tls-ca-cert-file "$work/ca.crt" --tls-auth-clients no
}

for side in "${sides[@]}"; do
    start_tls "$side" 0 1
    preload "$side" 100000
    head -c 100000 /dev/zero | tr '\0' x | cli "$side" -x SET big >/dev/null
    kill -STOP "${pid[$side]}"
done
compare_all trivet redis 1 "${workloads[@]}"
echo "TLS: 50 clients on core 1, one worker on core 0."
show_results Trivet Redis

for side in "${sides[@]}"; do stop "$side"; done
start_tls trivet 0,1 2
start_tls redis 0,1 1
compare_all trivet redis 0,1 "Handshake and PING||1500|-k 0 -t ping_mbulk"
echo
echo "Two workers on cores 0 and 1, which the clients share; redis-server has one thread for this."
show_results Trivet Redis
