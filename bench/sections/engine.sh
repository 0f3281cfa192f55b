# engine.sh: workers without sockets, which on two cores hide behind the load generator. Trivet alone.

engine=$programs/engine_bench
need "$engine"
cores=$(nproc)
echo "The dispatcher driven from threads, without sockets: $keys keys of 16 bytes, values of 31, $cores cores."
"$engine" --keys "$keys" --rounds "$rounds" --commands $((2000000 * seconds))
