# workers.sh: four workers against what redis-server has for several cores: its threads for reading and writing sockets.

cores=$(nproc)
if ((cores >= 6)); then
    server_cores=0-3 client_cores=4-$((cores - 1)) redis_threads=4
    where="servers on cores 0-3, redis-benchmark on the others"
else
    server_cores=0-$((cores - 1)) client_cores=$server_cores redis_threads=1
    where="with $cores cores, servers and redis-benchmark share all of them: this shows no gain from workers"
fi
start trivet "$server_cores" 4
start redis "$server_cores" "$redis_threads"
for side in "${sides[@]}"; do
    only "$side"
    preload "$side"
done
threads=$((cores > 4 ? 4 : 2))
compare_all trivet redis "$client_cores" \
    "4 workers: GET, pipeline of 16||2000000|--threads $threads -t get -P 16" \
    "4 workers: SET, pipeline of 16||2000000|--threads $threads -t set -P 16"

echo "Trivet with 4 workers, redis-server with io-threads $redis_threads; $where."
show_results Trivet Redis
