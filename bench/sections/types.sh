# types.sh: the other data types. Values have 32 bytes. Each round uses keys of its own, so that it finds nothing that
# an earlier round left. "Many" means 100,000 keys with small values.

set_size=1000000

many="-P 16 -r 100000"
workloads=(
    "LPUSH, one list, pipeline of 16|1.2|1000000|-P 16 LPUSH list:ROUND $value"
    "LPUSH, one list, no pipeline|1.2|150000|LPUSH list:one:ROUND $value"
    "RPUSH, many lists, pipeline of 16|1.2|1000000|$many RPUSH list:ROUND:__rand_int__ $value"
    "LRANGE_100, pipeline of 16|1.2|60000|-P 16 LRANGE list:long 0 99"
    "LRANGE_100, no pipeline|1.2|40000|LRANGE list:long 0 99"
    "HSET, one hash, pipeline of 16|1.2|1000000|-P 16 HSET hash:ROUND field:__rand_int__ $value"
    "HSET, one hash, no pipeline|1.2|150000|HSET hash:one:ROUND field:__rand_int__ $value"
    "HSET, many hashes, pipeline of 16|1.2|1000000|$many HSET hash:ROUND:__rand_int__ field:__rand_int__ $value"
    "SADD, one set, pipeline of 16|1.2|1000000|-P 16 SADD set:ROUND member:__rand_int__"
    "SADD, one set, no pipeline|1.2|150000|SADD set:one:ROUND member:__rand_int__"
    "SADD, many sets, pipeline of 16|1.2|1000000|$many SADD set:ROUND:__rand_int__ member:__rand_int__"
    "ZADD, new scores in 1 M, pipeline of 16|2.0|500000|-P 16 -r $set_size ZADD zset __rand_int__ m:__rand_int__"
    "ZADD, new members to 1 M, pipeline of 16|2.0|500000|-P 16 -r 100000000 ZADD zset __rand_int__ n:__rand_int__"
    "ZADD, new scores in 1 M, no pipeline|1.2|100000|-r $set_size ZADD zset __rand_int__ m:__rand_int__"
    "ZADD, many sets, pipeline of 16|1.2|1000000|$many ZADD zset:ROUND:__rand_int__ __rand_int__ m:__rand_int__"
    "XADD, one stream, pipeline of 16|1.2|1000000|-P 16 XADD stream:ROUND * field $value"
    "XADD, one stream, no pipeline|1.2|150000|XADD stream:one:ROUND * field $value"
    "XADD of 3 fields, pipeline of 16|1.2|600000|-P 16 XADD stream:three:ROUND * one $value two 2 three 3.14"
    "XADD MAXLEN ~ 1000, pipeline of 16|1.2|1000000|-P 16 XADD stream:short:ROUND MAXLEN ~ 1000 * field $value"
)

# A list of 10,000, a sorted set of a million members (scores at random), nothing else.
fill() { # NAME
    awk -v size="$set_size" 'BEGIN {
        srand(1)
        for (i = 0; i < 10000; i++) printf "*3\r\n$5\r\nRPUSH\r\n$9\r\nlist:long\r\n$32\r\nvalue:%026d\r\n", i
        for (i = 0; i < size; i++) {
            if (i % 500 == 0) printf "*%d\r\n$4\r\nZADD\r\n$4\r\nzset\r\n", 2 + 2 * (size - i < 500 ? size - i : 500)
            printf "$12\r\n%012d\r\n$14\r\nm:%012d\r\n", size * rand(), i
        }
    }' | pour "$1"
    [[ $(must "$1" ZCARD zset) == "$set_size" ]] || fail "$1 has not got the sorted set"
}

for side in "${sides[@]}"; do
    start "$side" 0 1
    fill "$side"
    kill -STOP "${pid[$side]}"
done
compare_all trivet redis 1 "${workloads[@]}"

echo "Data types: 50 clients on core 1, one worker on core 0."
show_results Trivet Redis
