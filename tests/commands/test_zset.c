/* test_zset.c: the commands of group sorted-set over the wire: what they do, what they refuse and in which
 * words. */
#include "../harness/fixture.h"
#include "../harness/saves.h"
#include <stdio.h>
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define NOT_FLOAT "-ERR value is not a valid float"
#define NOT_END "-ERR min or max is not a float"
#define NOT_LEX "-ERR min or max not valid string range item"
#define SYNTAX "-ERR syntax error"
#define NOT_A_NUMBER "-ERR resulting score is not a number (NaN)"

/* ---- adding ---- */

static void zadd_adds_changes_and_counts(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b", ":2" },
        { "ZADD z 3 a 2 b 4 c", ":1" },
        { "ZADD z CH 5 a 2 b 4 d", ":2" },
        { "ZRANGE z 0 -1 WITHSCORES", "*[$\"b\", $\"2\", $\"c\", $\"4\", $\"d\", $\"4\", $\"a\", $\"5\"]" },
        { "ZADD z NX 9 a 9 e", ":1" },
        { "ZADD z XX CH 8 a 8 f", ":1" },
        { "ZMSCORE z a e f", "*[$\"8\", $\"9\", $-1]" },
        { "ZADD z GT CH 7 a 10 e 1 g", ":2" },
        { "ZADD z lt ch 7 a 11 e 2 g", ":1" },
        { "ZMSCORE z a e g", "*[$\"7\", $\"10\", $\"1\"]" },
        { "ZADD none XX 1 a", ":0" },
        { "EXISTS none", ":0" },
        { "ZADD z inf x -inf y 0x10 h 1e3 k", ":4" },
        { "ZMSCORE z x y h k", "*[$\"inf\", $\"-inf\", $\"16\", $\"1000\"]" },
        { "ZADD z 0.1 p 1e20 q 1e-7 r 3.0 s", ":4" },
        { "ZMSCORE z p q r s", "*[$\"0.1\", $\"1e+20\", $\"1e-7\", $\"3\"]" },
        { "ZADD z 1 same 2 same", ":1" },
        { "ZSCORE z same", "$\"2\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void zadd_incr_and_zincrby_reply_with_the_score(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z INCR 1.5 a", "$\"1.5\"" },
        { "ZADD z INCR 1 a", "$\"2.5\"" },
        { "ZADD z INCR NX 1 a", "$-1" },
        { "ZADD z INCR XX 1 b", "$-1" },
        { "ZADD none INCR XX 1 b", "$-1" },
        { "ZADD z INCR GT -1 a", "$-1" },
        { "ZADD z INCR LT -1 a", "$\"1.5\"" },
        { "ZINCRBY z 2 a", "$\"3.5\"" },
        { "ZINCRBY z -2 new", "$\"-2\"" },
        { "ZINCRBY z inf a", "$\"inf\"" },
        { "ZINCRBY z -inf a", NOT_A_NUMBER },
        { "ZADD z INCR -inf a", NOT_A_NUMBER },
        { "ZSCORE z a", "$\"inf\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void zadd_refuses_bad_words_and_changes_nothing(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1", "-ERR wrong number of arguments for 'zadd' command" },
        { "ZADD z 1 a 2", SYNTAX },
        { "ZADD z FOO 1 a", SYNTAX },
        { "ZADD z NX XX", SYNTAX },
        { "ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible" },
        { "ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible" },
        { "ZADD z NX GT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible" },
        { "ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair" },
        { "ZADD z a m", NOT_FLOAT },
        { "ZADD z nan m", NOT_FLOAT },
        { "ZADD z 1 a \"\" b", NOT_FLOAT },
        { "ZINCRBY z a m", NOT_FLOAT },
        { "EXISTS z", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void every_command_refuses_another_type(void **state) {
    static const char *const commands[] = {
        "ZADD k 1 a", "ZINCRBY k 1 a", "ZREM k a", "ZCARD k", "ZSCORE k a", "ZMSCORE k a", "ZRANK k a",
        "ZREVRANK k a WITHSCORE", "ZSCAN k 0", "ZRANDMEMBER k", "ZRANDMEMBER k 2", "ZPOPMIN k", "ZPOPMAX k 2",
        "ZMPOP 2 none k MIN", "BZPOPMIN none k 0", "BZPOPMAX k 0", "BZMPOP 0 1 k MAX", "ZRANGE k 0 1",
        "ZRANGESTORE d k 0 1", "ZREVRANGE k 0 1", "ZRANGEBYSCORE k 0 1", "ZREVRANGEBYSCORE k 0 1",
        "ZRANGEBYLEX k - +", "ZREVRANGEBYLEX k + -", "ZCOUNT k 0 1", "ZLEXCOUNT k - +",
        "ZREMRANGEBYRANK k 0 1",
        "ZREMRANGEBYSCORE k 0 1", "ZREMRANGEBYLEX k - +", "ZUNION 1 k", "ZINTER 2 none k", "ZDIFF 1 k",
        "ZUNIONSTORE d 1 k", "ZINTERSTORE d 1 k", "ZDIFFSTORE d 1 k", "ZINTERCARD 1 k",
    };
    struct client *c = fixture_client(state);
    assert_reply(c, "SET k v", "+OK");
    for (size_t i = 0; i < COUNT_OF(commands); i++) assert_reply(c, commands[i], WRONGTYPE);
    assert_reply(c, "EXISTS d", ":0");
}

/* ---- asking and removing ---- */

static void members_are_found_by_score_and_rank(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 2 c 3 d", ":4" },
        { "ZCARD z", ":4" },
        { "ZCARD none", ":0" },
        { "ZSCORE z b", "$\"2\"" },
        { "ZSCORE z x", "$-1" },
        { "ZSCORE none x", "$-1" },
        { "ZMSCORE none x y", "*[$-1, $-1]" },
        { "ZRANK z c", ":2" },
        { "ZREVRANK z c", ":1" },
        { "ZRANK z x", "$-1" },
        { "ZRANK z c WITHSCORE", "*[:2, $\"2\"]" },
        { "ZREVRANK z d withscore", "*[:0, $\"3\"]" },
        { "ZRANK z x WITHSCORE", "*-1" },
        { "ZRANK none x WITHSCORE", "*-1" },
        { "ZRANK z c FOO", SYNTAX },
        { "ZRANK z c WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command" },
        { "ZREM z a x d", ":2" },
        { "ZREM z x", ":0" },
        { "ZREM none x", ":0" },
        { "ZREM z b c", ":2" },
        { "EXISTS z", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- ranges ---- */

static void ranges_by_rank_count_from_both_ends(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 3 c 4 d", ":4" },
        { "ZRANGE z 1 2", "*[$\"b\", $\"c\"]" },
        { "ZRANGE z -2 100", "*[$\"c\", $\"d\"]" },
        { "ZRANGE z -100 0", "*[$\"a\"]" },
        { "ZRANGE z 2 1", "*[]" },
        { "ZRANGE z 4 9", "*[]" },
        { "ZRANGE z 0 1 REV", "*[$\"d\", $\"c\"]" },
        { "ZREVRANGE z 0 1 WITHSCORES", "*[$\"d\", $\"4\", $\"c\", $\"3\"]" },
        { "ZREVRANGE z -1 -1", "*[$\"a\"]" },
        { "ZRANGE none 0 -1", "*[]" },
        { "ZRANGE z a b", NOT_INT },
        { "ZRANGE z 0 1 FOO", SYNTAX },
        { "ZREVRANGE z 0 1 REV", SYNTAX },
        { "ZRANGE z 0 1 LIMIT 0 1",
          "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX" },
        { "ZREMRANGEBYRANK z a 1", NOT_INT },
        { "ZREMRANGEBYRANK z 1 -2", ":2" },
        { "ZRANGE z 0 -1", "*[$\"a\", $\"d\"]" },
        { "ZREMRANGEBYRANK z 5 9", ":0" },
        { "ZREMRANGEBYRANK z 0 -1", ":2" },
        { "EXISTS z", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void ranges_by_score_have_open_and_infinite_ends(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z -inf a 1 b 2 c 2 d 3 e inf f", ":6" },
        { "ZRANGEBYSCORE z 1 2", "*[$\"b\", $\"c\", $\"d\"]" },
        { "ZRANGEBYSCORE z (1 (3 WITHSCORES", "*[$\"c\", $\"2\", $\"d\", $\"2\"]" },
        { "ZRANGEBYSCORE z -inf +inf LIMIT 1 2", "*[$\"b\", $\"c\"]" },
        { "ZRANGEBYSCORE z (-inf (inf LIMIT 1 -1", "*[$\"c\", $\"d\", $\"e\"]" },
        { "ZRANGEBYSCORE z -inf inf LIMIT -1 2", "*[]" },
        { "ZRANGEBYSCORE z 2 1", "*[]" },
        { "ZREVRANGEBYSCORE z 3 (1 LIMIT 0 2", "*[$\"e\", $\"d\"]" },
        { "ZRANGE z (3 -inf BYSCORE REV LIMIT 1 2", "*[$\"c\", $\"b\"]" },
        { "ZCOUNT z 1 (3", ":3" },
        { "ZCOUNT z (2 2", ":0" },
        { "ZCOUNT none 0 1", ":0" },
        { "ZRANGEBYSCORE z a b", NOT_END },
        { "ZRANGEBYSCORE z 0 nan", NOT_END },
        { "ZCOUNT z a b", NOT_END },
        { "ZRANGE z a b BYSCORE", NOT_END },
        { "ZRANGEBYSCORE z 0 1 LIMIT 0", SYNTAX },
        { "ZRANGEBYSCORE z 0 1 LIMIT a 1", NOT_INT },
        { "ZRANGEBYSCORE z 0 1 BYSCORE", SYNTAX },
        { "ZREMRANGEBYSCORE z (1 2", ":2" },
        { "ZREMRANGEBYSCORE z -inf +inf", ":4" },
        { "EXISTS z", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void ranges_by_text_order_by_bytes(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 0 a 0 b 0 ba 0 c 0 10 0 9", ":6" },
        { "ZRANGEBYLEX z - +", "*[$\"10\", $\"9\", $\"a\", $\"b\", $\"ba\", $\"c\"]" },
        { "ZRANGEBYLEX z [b (c", "*[$\"b\", $\"ba\"]" },
        { "ZRANGEBYLEX z (b + LIMIT 1 1", "*[$\"c\"]" },
        { "ZRANGEBYLEX z + -", "*[]" },
        { "ZREVRANGEBYLEX z (c [a", "*[$\"ba\", $\"b\", $\"a\"]" },
        { "ZRANGE z [ba - BYLEX REV LIMIT 0 2", "*[$\"ba\", $\"b\"]" },
        { "ZLEXCOUNT z [a [b", ":2" },
        { "ZLEXCOUNT none - +", ":0" },
        { "ZRANGEBYLEX z a b", NOT_LEX },
        { "ZLEXCOUNT z a b", NOT_LEX },
        { "ZLEXCOUNT z - +x", NOT_LEX },
        { "ZRANGE z - + BYLEX WITHSCORES",
          "-ERR syntax error, WITHSCORES not supported in combination with BYLEX" },
        { "ZREMRANGEBYLEX z (9 [b", ":2" },
        { "ZRANGE z 0 -1", "*[$\"10\", $\"9\", $\"ba\", $\"c\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void zrangestore_replaces_or_deletes_the_destination(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 3 c", ":3" },
        { "SET d string", "+OK" },
        { "ZRANGESTORE d z 1 -1", ":2" },
        { "ZRANGE d 0 -1 WITHSCORES", "*[$\"b\", $\"2\", $\"c\", $\"3\"]" },
        { "EXPIRE d 100", ":1" },
        { "ZRANGESTORE d z (3 -inf BYSCORE REV LIMIT 0 1", ":1" },
        { "TTL d", ":-1" },
        { "ZRANGE d 0 -1", "*[$\"b\"]" },
        { "ZRANGESTORE d z 0 1 WITHSCORES", SYNTAX },
        { "ZRANGESTORE d z 5 6", ":0" },
        { "EXISTS d", ":0" },
        { "ZRANGESTORE d none 0 1", ":0" },
        { "ZRANGESTORE z z 0 1", ":2" },
        { "ZRANGE z 0 -1", "*[$\"a\", $\"b\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- taking ---- */

static void pops_take_from_the_ends(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 3 c 4 d 5 e", ":5" },
        { "ZPOPMIN z", "*[$\"a\", $\"1\"]" },
        { "ZPOPMAX z 2", "*[$\"e\", $\"5\", $\"d\", $\"4\"]" },
        { "ZPOPMIN z 0", "*[]" },
        { "ZPOPMIN z -1", "-ERR value is out of range, must be positive" },
        { "ZPOPMIN z a", "-ERR value is out of range, must be positive" },
        { "ZPOPMIN z 1 2", SYNTAX },
        { "ZPOPMIN z 100", "*[$\"b\", $\"2\", $\"c\", $\"3\"]" },
        { "EXISTS z", ":0" },
        { "ZPOPMIN z", "*[]" },
        { "ZADD z 1 a 2 b", ":2" },
        { "ZMPOP 2 none z MAX", "*[$\"z\", *[*[$\"b\", $\"2\"]]]" },
        { "ZMPOP 1 z MIN COUNT 5", "*[$\"z\", *[*[$\"a\", $\"1\"]]]" },
        { "ZMPOP 1 z MIN", "*-1" },
        { "ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0" },
        { "ZMPOP a z MIN", "-ERR numkeys should be greater than 0" },
        { "ZMPOP 1 k FOO", SYNTAX },
        { "ZMPOP 2 k MIN", SYNTAX },
        { "ZMPOP 1 k MIN COUNT -1", "-ERR count should be greater than 0" },
        { "ZMPOP 1 k MIN COUNT 1 COUNT 1", SYNTAX },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void blocking_pops_take_at_once_what_is_there(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 3 c", ":3" },
        { "BZPOPMIN none z 0", "*[$\"z\", $\"a\", $\"1\"]" },
        { "BZPOPMAX z 0", "*[$\"z\", $\"c\", $\"3\"]" },
        { "BZMPOP 0 2 none z MIN COUNT 9", "*[$\"z\", *[*[$\"b\", $\"2\"]]]" },
        { "BZPOPMIN z 0.01", "*-1" },
        { "BZMPOP 0.01 1 z MAX", "*-1" },
        { "BZPOPMIN z -1", "-ERR timeout is negative" },
        { "BZPOPMIN z a", "-ERR timeout is not a float or out of range" },
        { "BZMPOP a 1 z MIN", "-ERR timeout is not a float or out of range" },
        { "BZMPOP 0 0 z MIN", "-ERR numkeys should be greater than 0" },
        { "MULTI", "+OK" },
        { "BZPOPMIN z 0", "+QUEUED" },
        { "EXEC", "*[*-1]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void waiting_clients_are_served_in_the_order_of_arrival(void **state) {
    struct fixture *f = *state;
    struct client *first = server_connect(f->server), *second = server_connect(f->server);
    struct client *third = server_connect(f->server);
    client_send(first, "BZPOPMIN other z 0");
    assert_info_soon(f->client, "clients", "blocked_clients", "1");
    client_send(second, "BZMPOP 0 1 z MAX COUNT 2");
    assert_info_soon(f->client, "clients", "blocked_clients", "2");
    client_send(third, "BZPOPMAX z 0");
    assert_info_soon(f->client, "clients", "blocked_clients", "3");
    assert_reply(f->client, "RPUSH z x", ":1"); /* another type serves nobody */
    assert_reply(f->client, "DEL z", ":1");
    assert_reply(f->client, "ZADD z 1 a 2 b 3 c 4 d", ":4");
    assert_next(first, "*[$\"z\", $\"a\", $\"1\"]");
    assert_next(second, "*[$\"z\", *[*[$\"d\", $\"4\"], *[$\"c\", $\"3\"]]]");
    assert_next(third, "*[$\"z\", $\"b\", $\"2\"]");
    assert_reply(f->client, "EXISTS z", ":0");
    client_close(first);
    client_close(second);
    client_close(third);
}

/* ---- several sets ---- */

static void unions_and_intersections_weigh_and_aggregate(void **state) {
    static const struct exchange rows[] = {
        { "ZADD x 1 a 2 b 3 c", ":3" },
        { "ZADD y 10 b 20 c 30 d", ":3" },
        { "SADD s c d e", ":3" },
        { "ZUNION 2 x y WITHSCORES",
          "*[$\"a\", $\"1\", $\"b\", $\"12\", $\"c\", $\"23\", $\"d\", $\"30\"]" },
        { "ZUNION 3 x y none", "*[$\"a\", $\"b\", $\"c\", $\"d\"]" },
        { "ZINTER 2 x y WITHSCORES", "*[$\"b\", $\"12\", $\"c\", $\"23\"]" },
        { "ZINTER 2 x y WEIGHTS 2 0.5 AGGREGATE MAX WITHSCORES", "*[$\"b\", $\"5\", $\"c\", $\"10\"]" },
        { "ZINTER 3 x y s aggregate min withscores", "*[$\"c\", $\"1\"]" },
        { "ZUNION 2 x s WEIGHTS 1 5 WITHSCORES",
          "*[$\"a\", $\"1\", $\"b\", $\"2\", $\"d\", $\"5\", $\"e\", $\"5\", $\"c\", $\"8\"]" },
        { "ZDIFF 2 x y WITHSCORES", "*[$\"a\", $\"1\"]" },
        { "ZDIFF 2 none x", "*[]" },
        { "ZDIFF 2 x x", "*[]" },
        { "ZINTERCARD 2 x y", ":2" },
        { "ZINTERCARD 2 x y LIMIT 1", ":1" },
        { "ZINTERCARD 2 x y LIMIT 0", ":2" },
        { "ZINTERCARD 2 x none", ":0" },
        { "ZUNIONSTORE d 2 x y WEIGHTS 1 -1", ":4" },
        { "ZRANGE d 0 -1 WITHSCORES",
          "*[$\"d\", $\"-30\", $\"c\", $\"-17\", $\"b\", $\"-8\", $\"a\", $\"1\"]" },
        { "ZINTERSTORE x 2 x y", ":2" },
        { "ZRANGE x 0 -1 WITHSCORES", "*[$\"b\", $\"12\", $\"c\", $\"23\"]" },
        { "ZDIFFSTORE d 2 x s", ":1" },
        { "ZDIFFSTORE d 2 none s", ":0" },
        { "EXISTS d", ":0" },
        { "ZADD p inf m", ":1" },
        { "ZADD q -inf m", ":1" },
        { "ZUNION 2 p q WITHSCORES", "*[$\"m\", $\"0\"]" },
        { "ZUNION 1 p WEIGHTS 0 WITHSCORES", "*[$\"m\", $\"0\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* A listpack knows no negative zero, but a result that is too big for one never was one. */
static void a_stored_result_keeps_the_sign_of_zero_if_it_is_big(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "ZADD z -1 a 1 b", ":2");
    assert_reply(c, "ZUNIONSTORE d 1 z WEIGHTS 0", ":2");
    assert_reply(c, "ZSCORE d a", "$\"0\"");
    client_ask(c, "ZADD z 1 %065d", 0);
    assert_reply(c, "ZUNIONSTORE d 1 z WEIGHTS 0", ":3");
    assert_reply(c, "OBJECT ENCODING d", "$\"skiplist\"");
    assert_reply(c, "ZSCORE d a", "$\"-0\"");
}

static void unions_and_intersections_refuse_bad_words(void **state) {
    static const struct exchange rows[] = {
        { "ZUNION 1 z WEIGHTS 1 2", SYNTAX },
        { "ZUNION 2 z y WEIGHTS 1", SYNTAX },
        { "ZUNION 1 z AGGREGATE FOO", SYNTAX },
        { "ZUNION 1 z WEIGHTS a", "-ERR weight value is not a float" },
        { "ZUNIONSTORE d 0 z", "-ERR at least 1 input key is needed for 'zunionstore' command" },
        { "ZUNIONSTORE d 2 z", SYNTAX },
        { "ZUNIONSTORE d a z", NOT_INT },
        { "ZUNIONSTORE d 1 z WITHSCORES", SYNTAX },
        { "ZDIFF 1 z WEIGHTS 1", SYNTAX },
        { "ZINTERCARD 0 z", "-ERR at least 1 input key is needed for 'zintercard' command" },
        { "ZINTERCARD a z", NOT_INT },
        { "ZINTERCARD 1 z LIMIT -1", "-ERR LIMIT can't be negative" },
        { "ZINTERCARD 1 z WITHSCORES", SYNTAX },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- forms, protocols, chance ---- */

static void limits_decide_the_encoding(void **state) {
    struct client *c = fixture_client(state);
    struct text line = { 0 };
    text_append_str(&line, "ZADD z");
    for (int i = 0; i < 128; i++) text_printf(&line, " %d m%d", i, i);
    assert_reply(c, text_str(&line), ":128");
    text_release(&line);
    static const struct exchange rows[] = {
        { "OBJECT ENCODING z", "$\"listpack\"" },
        { "ZADD z 5 m5 7 m6", ":0" },
        { "OBJECT ENCODING z", "$\"listpack\"" },
        { "ZADD z 200 one-more", ":1" },
        { "OBJECT ENCODING z", "$\"skiplist\"" },
        { "ZREMRANGEBYRANK z 1 -1", ":128" },
        { "OBJECT ENCODING z", "$\"skiplist\"" },
        { "ZRANGESTORE d z 0 -1", ":1" },
        { "OBJECT ENCODING d", "$\"listpack\"" },
        { "CONFIG SET zset-max-listpack-value 8", "+OK" },
        { "ZADD e 1 12345678", ":1" },
        { "OBJECT ENCODING e", "$\"listpack\"" },
        { "ZADD e 1 123456789", ":1" },
        { "OBJECT ENCODING e", "$\"skiplist\"" },
        { "CONFIG SET zset-max-listpack-value 64 zset-max-listpack-entries 0", "+OK" },
        { "ZADD f 1 a", ":1" },
        { "OBJECT ENCODING f", "$\"skiplist\"" },
        { "COPY f g", ":1" },
        { "ZRANGE g 0 -1 WITHSCORES", "*[$\"a\", $\"1\"]" },
        { "CONFIG SET zset-max-listpack-entries 128", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void resp3_has_doubles_and_pairs(void **state) {
    static const struct exchange rows[] = {
        { "HELLO 3", "..." },
        { "ZADD z 1 a 2.5 b", ":2" },
        { "ZADD z INCR 1 a", ",2" },
        { "ZADD z NX INCR 1 a", "_" },
        { "ZINCRBY z -1 a", ",1" },
        { "ZSCORE z b", ",2.5" },
        { "ZSCORE z x", "_" },
        { "ZMSCORE z a x", "*[,1, _]" },
        { "ZRANK z b WITHSCORE", "*[:1, ,2.5]" },
        { "ZRANK z x WITHSCORE", "_" },
        { "ZRANGE z 0 -1", "*[$\"a\", $\"b\"]" },
        { "ZRANGE z 0 -1 WITHSCORES", "*[*[$\"a\", ,1], *[$\"b\", ,2.5]]" },
        { "ZUNION 1 z WITHSCORES", "*[*[$\"a\", ,1], *[$\"b\", ,2.5]]" },
        { "ZRANDMEMBER z 5 WITHSCORES", "*[*[$\"a\", ,1], *[$\"b\", ,2.5]]" },
        { "ZSCAN z 0", "*[$\"0\", *[$\"a\", $\"1\", $\"b\", $\"2.5\"]]" },
        { "ZPOPMIN z", "*[$\"a\", ,1]" },
        { "ZPOPMAX z 1", "*[*[$\"b\", ,2.5]]" },
        { "ZADD z 1 a", ":1" },
        { "ZMPOP 1 z MIN", "*[$\"z\", *[*[$\"a\", ,1]]]" },
        { "ZADD z 1 a", ":1" },
        { "BZPOPMIN z 0", "*[$\"z\", $\"a\", ,1]" },
        { "BZPOPMIN z 0.01", "_" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void zscan_walks_over_all(void **state) {
    static const struct exchange rows[] = {
        { "ZADD z 1 a 2 b 3 ab", ":3" },
        { "ZSCAN z 0", "*[$\"0\", *[$\"a\", $\"1\", $\"b\", $\"2\", $\"ab\", $\"3\"]]" },
        { "ZSCAN z 0 MATCH a* COUNT 1", "*[$\"0\", *[$\"a\", $\"1\", $\"ab\", $\"3\"]]" },
        { "ZSCAN z 0 NOSCORES", "*[$\"0\", *[$\"a\", $\"b\", $\"ab\"]]" },
        { "ZSCAN none 0 FOO", "*[$\"0\", *[]]" },
        { "ZSCAN z a", "-ERR invalid cursor" },
        { "ZSCAN z 0 FOO", SYNTAX },
        { "ZSCAN z 0 COUNT 0", SYNTAX },
        { "ZSCAN z 0 COUNT a", NOT_INT },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* The members of one ZRANDMEMBER must be different and in the set m0 ... m999. */
static void check_distinct(struct client *c, size_t count) {
    bool seen[1000] = { false };
    struct node *n = client_ask_node(c, "ZRANDMEMBER z %zu WITHSCORES", count);
    assert_int_equal(n->count, 2 * count);
    for (size_t i = 0; i < n->count; i += 2) {
        size_t number = (size_t)atol(text_str(&n->items[i]->bytes) + 1);
        assert_true(number < 1000 && !seen[number]);
        assert_int_equal(number, atol(text_str(&n->items[i + 1]->bytes)));
        seen[number] = true;
    }
    node_free(n);
}

static void zrandmember_chooses_different_members_unless_told(void **state) {
    struct client *c = fixture_client(state);
    for (int i = 0; i < 1000; i++) client_queue(c, "ZADD z %d m%d", i, i);
    client_skip(c, 1000);
    static const size_t counts[] = { 1, 2, 10, 100, 124, 125, 126, 500, 999, 1000 };
    for (size_t i = 0; i < COUNT_OF(counts); i++) check_distinct(c, counts[i]);
    static const struct exchange rows[] = {
        { "ZRANDMEMBER z", "$\"m...\"" },
        { "ZRANDMEMBER none", "$-1" },
        { "ZRANDMEMBER none 5", "*[]" },
        { "ZRANDMEMBER z 0", "*[]" },
        { "ZADD one 1 a", ":1" },
        { "ZRANDMEMBER one -3", "*[$\"a\", $\"a\", $\"a\"]" },
        { "ZRANDMEMBER one -2 WITHSCORES", "*[$\"a\", $\"1\", $\"a\", $\"1\"]" },
        { "ZRANDMEMBER one 9", "*[$\"a\"]" },
        { "ZRANDMEMBER z a", NOT_INT },
        { "ZRANDMEMBER z 1 FOO", SYNTAX },
        { "ZRANDMEMBER z 1 WITHSCORES x", SYNTAX },
        { "ZRANDMEMBER z -9223372036854775808",
          "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807" },
        { "ZRANDMEMBER z 9223372036854775807 WITHSCORES", "-ERR value is out of range" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

static void the_digest_is_the_one_clients_know(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "ZADD z 1 a -2.5 b 7 12345 inf c", ":4");
    assert_reply(c, "DEBUG DIGEST-VALUE z", "*[+8f1ddd31bebadd2ae6d385f2d6def9ebaa2aaebb]");
}

static void changes_are_notified(void **state) {
    struct fixture *f = *state;
    struct client *listener = server_connect(f->server);
    assert_reply(f->client, "CONFIG SET notify-keyspace-events Eghzs$", "+OK");
    assert_reply(listener, "PSUBSCRIBE __keyevent@0__:*", "*[$\"psubscribe\", ...");
    static const struct {
        const char *command, *events[3];
    } rows[] = {
        { "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", { "zadd" } },
        { "ZADD z 1 a", { NULL } },
        { "ZADD z NX 5 a", { NULL } },
        { "ZINCRBY z 0 a", { NULL } },
        { "ZINCRBY z 1 a", { "zincr" } },
        { "ZREM z x", { NULL } },
        { "ZREM z a", { "zrem" } },
        { "ZPOPMIN z", { "zpopmin" } },
        { "ZMPOP 1 z MAX", { "zpopmax" } },
        { "ZREMRANGEBYRANK z 0 0", { "zremrangebyrank" } },
        { "ZREMRANGEBYSCORE z 0 1", { NULL } },
        { "ZUNIONSTORE d 1 z", { "zunionstore" } },
        { "ZINTERSTORE d 1 z", { "zinterstore" } },
        { "ZRANGESTORE d z 0 -1", { "zrangestore" } },
        { "ZDIFFSTORE d 2 z z", { "del" } },
        { "ZREMRANGEBYSCORE z -inf inf", { "zremrangebyscore", "del" } },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        node_free(client_ask_node(f->client, "%s", rows[i].command));
        for (size_t e = 0; e < 3 && rows[i].events[e]; e++) {
            char expected[100];
            snprintf(expected, sizeof expected,
                     "*[$\"pmessage\", $\"__keyevent@0__:*\", $\"__keyevent@0__:%s\", ...",
                     rows[i].events[e]);
            assert_next(listener, expected);
        }
    }
    assert_reply(f->client, "CONFIG SET notify-keyspace-events \"\"", "+OK");
    client_close(listener);
}

/* ---- the journal ---- */

static void fill(struct client *c) {
    static const char *const lines[] = {
        "ZADD a 1 x 2.5 y 0.1 z",     "ZADD a INCR 0.7 z",         "ZINCRBY a 0.3 z",
        "ZADD a GT CH 9 x 1 y",       "ZREM a none",               "ZADD b -inf low inf high 3 mid",
        "ZPOPMIN b",                  "ZMPOP 2 none b MAX",        "ZUNIONSTORE u 2 a b WEIGHTS 0.1 3",
        "ZINTERSTORE i 2 a a",        "ZDIFFSTORE gone 2 a a",     "ZRANGESTORE r a 0 1",
        "ZADD l 0 a 0 b 0 c 0 d 0 e", "ZREMRANGEBYLEX l [b [c",    "ZREMRANGEBYRANK l 0 0",
        "ZADD s 1 a 2 b 3 c",         "ZREMRANGEBYSCORE s (1 2",   "ZADD e 1 only",
        "ZREM e only",                "BZPOPMIN s 0",              "EXPIREAT a 4102444800",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) client_queue_line(c, lines[i]);
    client_skip(c, COUNT_OF(lines));
    for (int i = 0; i < 1000; i++) client_queue(c, "ZADD big %d m%d", i * 7919 % 1000, i);
    client_skip(c, 1000);
    assert_reply(c, "ZREMRANGEBYRANK big 100 299", ":200");
}

static void a_replay_of_the_journal_gives_the_same_sets(void **state) {
    (void)state;
    struct server *s = server_start("--appendonly", "yes", NULL);
    struct client *c = server_connect(s);
    fill(c);
    struct client *waiting = server_connect(s);
    client_send(waiting, "BZMPOP 0 1 w MIN COUNT 2");
    assert_info_soon(c, "clients", "blocked_clients", "1");
    assert_reply(c, "ZADD w 1 a 2 b 3 c", ":3");
    assert_next(waiting, "*[$\"w\", *[*[$\"a\", $\"1\"], *[$\"b\", $\"2\"]]]");
    struct text before = { 0 };
    text_append_str(&before, client_ask(c, "DEBUG DIGEST"));
    client_close(waiting);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DEBUG DIGEST", text_str(&before));
    assert_reply(c, "ZRANGE w 0 -1", "*[$\"c\"]");
    /* The same once more from a base that is written anew. */
    assert_reply(c, "CONFIG SET appendonly no", "+OK");
    assert_reply(c, "CONFIG SET appendonly yes", "+OK");
    saves_await(c);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    assert_reply(c, "DEBUG DIGEST", text_str(&before));
    assert_reply(c, "OBJECT ENCODING big", "$\"skiplist\"");
    text_release(&before);
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(zadd_adds_changes_and_counts),
        FIXTURE_TEST(zadd_incr_and_zincrby_reply_with_the_score),
        FIXTURE_TEST(zadd_refuses_bad_words_and_changes_nothing),
        FIXTURE_TEST(every_command_refuses_another_type),
        FIXTURE_TEST(members_are_found_by_score_and_rank),
        FIXTURE_TEST(ranges_by_rank_count_from_both_ends),
        FIXTURE_TEST(ranges_by_score_have_open_and_infinite_ends),
        FIXTURE_TEST(ranges_by_text_order_by_bytes),
        FIXTURE_TEST(zrangestore_replaces_or_deletes_the_destination),
        FIXTURE_TEST(pops_take_from_the_ends),
        FIXTURE_TEST(blocking_pops_take_at_once_what_is_there),
        FIXTURE_TEST(waiting_clients_are_served_in_the_order_of_arrival),
        FIXTURE_TEST(unions_and_intersections_weigh_and_aggregate),
        FIXTURE_TEST(a_stored_result_keeps_the_sign_of_zero_if_it_is_big),
        FIXTURE_TEST(unions_and_intersections_refuse_bad_words),
        FIXTURE_TEST(limits_decide_the_encoding),
        FIXTURE_TEST(resp3_has_doubles_and_pairs),
        FIXTURE_TEST(zscan_walks_over_all),
        FIXTURE_TEST(zrandmember_chooses_different_members_unless_told),
        FIXTURE_TEST(the_digest_is_the_one_clients_know),
        FIXTURE_TEST(changes_are_notified),
        FIXTURE_TEST(a_replay_of_the_journal_gives_the_same_sets),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
