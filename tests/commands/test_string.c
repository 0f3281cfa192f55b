/* test_string.c: the commands of group string over the wire: what they do, what they refuse and in which
 * words. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

#define WRONGTYPE "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define NUMKEYS "-ERR invalid numkeys value or out of range"
#define TOO_BIG "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"

/* ---- SET ---- */

static void set_stores_bytes_and_replaces_value_type_and_ttl(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "GET k", "$\"v\"" },
        { "SET k \"a\\x00b\\r\\n\\xff\"", "+OK" },
        { "GET k", "$\"a\\x00b\\r\\n\\xff\"" },
        { "SET \"\" \"\"", "+OK" },
        { "GET \"\"", "$\"\"" },
        { "SET k v EX 100", "+OK" },
        { "SET k w", "+OK" },
        { "TTL k", ":-1" },
        { "set k W ex 100 keepttl", SYNTAX },
        { "SET k x EX 100", "+OK" },
        { "SET k y KEEPTTL", "+OK" },
        { "TTL k", ":1..100" },
        { "GET k", "$\"y\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply(fixture_client(state), "TTL k", ":1..100");
}

static void set_with_conditions_writes_only_when_they_hold(void **state) {
    static const struct exchange rows[] = {
        { "SET k 1 XX", "$-1" },     { "EXISTS k", ":0" },
        { "SET k 1 NX", "+OK" },     { "SET k 2 NX", "$-1" },
        { "GET k", "$\"1\"" },       { "SET k 2 xx", "+OK" },
        { "SET k 3 GET", "$\"2\"" }, { "SET k 4 NX GET", "$\"3\"" },
        { "GET k", "$\"3\"" },       { "SET k 4 XX GET", "$\"3\"" },
        { "GET k", "$\"4\"" },       { "SET n 1 NX GET", "$-1" },
        { "GET n", "$\"1\"" },       { "SET m 1 XX GET", "$-1" },
        { "EXISTS m", ":0" },        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void set_ifeq_compares_bytes_and_never_creates(void **state) {
    static const struct exchange rows[] = {
        { "SET k v IFEQ v", "$-1" },
        { "EXISTS k", ":0" },
        { "SET k v", "+OK" },
        { "SET k w IFEQ x", "$-1" },
        { "GET k", "$\"v\"" },
        { "SET k w IFEQ v", "+OK" },
        { "GET k", "$\"w\"" },
        { "SET k 10 IFEQ w GET", "$\"w\"" },
        { "SET k 11 IFEQ 9 GET", "$\"10\"" },
        { "SET k 11 IFEQ 010", "$-1" },
        { "SET k 11 IFEQ 10 EX 100", "+OK" },
        { "SET k 12 IFEQ 11 KEEPTTL", "+OK" },
        { "SET none v IFEQ v GET", "$-1" },
        { "SET k v IFEQ", SYNTAX },
        { "SET k v IFEQ x NX", SYNTAX },
        { "SET k v XX IFEQ x", SYNTAX },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
    assert_reply(fixture_client(state), "TTL k", ":1..100");
}

static void set_takes_relative_and_absolute_times(void **state) {
    struct client *c = fixture_client(state);
    static const struct exchange rows[] = {
        { "SET k v EXAT 4102444800", "+OK" },
        { "EXPIRETIME k", ":4102444800" },
        { "PEXPIRETIME k", ":4102444800000" },
        { "SET k v PXAT 4102444800123", "+OK" },
        { "PEXPIRETIME k", ":4102444800123" },
        { "SET k v KEEPTTL", "+OK" },
        { "PEXPIRETIME k", ":4102444800123" },
        { "SET k v PXAT 1", "+OK" },
        { "GET k", "$-1" },
        { "SET k v EXAT 1", "+OK" },
        { "EXISTS k", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    assert_reply(c, "SET k v EX 100", "+OK");
    assert_reply(c, "PTTL k", ":1..100000");
    assert_reply(c, "SET k v PX 100000", "+OK");
    assert_reply(c, "TTL k", ":1..100");
}

static void set_refuses_bad_options_and_times(void **state) {
    static const struct exchange rows[] = {
        { "SET k", "-ERR wrong number of arguments for 'set' command" },
        { "SET k v FOO", SYNTAX },
        { "SET k v EX", SYNTAX },
        { "SET k v NX XX", SYNTAX },
        { "SET k v EX 10 PX 10", SYNTAX },
        { "SET k v EXAT 10 PXAT 10", SYNTAX },
        { "SET k v KEEPTTL PX 10", SYNTAX },
        { "SET k v PERSIST", SYNTAX },
        { "SET k v EX 0", "-ERR invalid expire time in 'set' command" },
        { "SET k v EX -1", "-ERR invalid expire time in 'set' command" },
        { "SET k v PX 0", "-ERR invalid expire time in 'set' command" },
        { "SET k v PXAT 0", "-ERR invalid expire time in 'set' command" },
        { "SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command" },
        { "SET k v EX 9223372036854775", "-ERR invalid expire time in 'set' command" },
        { "SET k v EX a", NOT_INT },
        { "SET k v EX 1.5", NOT_INT },
        { "EXISTS k", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void setnx_setex_psetex_and_getset_are_short_forms_of_set(void **state) {
    static const struct exchange rows[] = {
        { "SETNX k 1", ":1" },
        { "SETNX k 2", ":0" },
        { "GET k", "$\"1\"" },
        { "SETEX k 100 v", "+OK" },
        { "TTL k", ":1..100" },
        { "PSETEX k 100000 w", "+OK" },
        { "GETSET k x", "$\"w\"" },
        { "TTL k", ":-1" },
        { "GETSET none x", "$-1" },
        { "GET none", "$\"x\"" },
        { "SETEX k 0 v", "-ERR invalid expire time in 'setex' command" },
        { "SETEX k -1 v", "-ERR invalid expire time in 'setex' command" },
        { "SETEX k a v", NOT_INT },
        { "PSETEX k 0 v", "-ERR invalid expire time in 'psetex' command" },
        { "PSETEX k a v", NOT_INT },
        { "SETEX k 10", "-ERR wrong number of arguments for 'setex' command" },
        { "GET k", "$\"x\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- reading ---- */

static void get_of_nothing_is_nil_and_arity_is_checked(void **state) {
    static const struct exchange rows[] = {
        { "GET none", "$-1" },
        { "GET", "-ERR wrong number of arguments for 'get' command" },
        { "GET a b", "-ERR wrong number of arguments for 'get' command" },
        { "MGET", "-ERR wrong number of arguments for 'mget' command" },
        { "STRLEN none", ":0" },
        { "GETDEL none", "$-1" },
        { "GETEX none", "$-1" },
        { "GETRANGE none 0 -1", "$\"\"" },
        { "HELLO 3", "%{...}" },
        { "GET none", "_" },
        { "MGET none none", "*[_, _]" },
        { "SET none v XX", "_" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void getdel_returns_and_removes(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" }, { "GETDEL k", "$\"v\"" }, { "GETDEL k", "$-1" },
        { "DBSIZE", ":0" },   { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void getex_reads_and_sets_or_drops_the_time(void **state) {
    static const struct exchange rows[] = {
        { "SET k v", "+OK" },
        { "GETEX k", "$\"v\"" },
        { "TTL k", ":-1" },
        { "GETEX k EX 100", "$\"v\"" },
        { "TTL k", ":1..100" },
        { "GETEX k", "$\"v\"" },
        { "TTL k", ":1..100" },
        { "GETEX k PERSIST", "$\"v\"" },
        { "TTL k", ":-1" },
        { "GETEX k EXAT 4102444800", "$\"v\"" },
        { "EXPIRETIME k", ":4102444800" },
        { "GETEX k PXAT 4102444800123", "$\"v\"" },
        { "PEXPIRETIME k", ":4102444800123" },
        { "GETEX k EX", SYNTAX },
        { "GETEX k EX 10 PERSIST", SYNTAX },
        { "GETEX k KEEPTTL", SYNTAX },
        { "GETEX k NX", SYNTAX },
        { "GETEX k EX a", NOT_INT },
        { "GETEX k EX 0", "-ERR invalid expire time in 'getex' command" },
        { "GETEX none EX 0", "-ERR invalid expire time in 'getex' command" },
        { "GETEX none PXAT -5", "-ERR invalid expire time in 'getex' command" },
        { "GETEX none EX a", NOT_INT },
        { "GETEX none EX 10", "$-1" },
        { "GETEX k PXAT 1", "$\"v\"" },
        { "EXISTS k", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void getrange_and_substr_count_from_both_ends(void **state) {
    static const struct exchange rows[] = {
        { "SET k \"Hello World\"", "+OK" },
        { "GETRANGE k 0 4", "$\"Hello\"" },
        { "GETRANGE k -5 -1", "$\"World\"" },
        { "GETRANGE k 0 -1", "$\"Hello World\"" },
        { "GETRANGE k 6 100", "$\"World\"" },
        { "GETRANGE k -100 4", "$\"Hello\"" },
        { "GETRANGE k 5 3", "$\"\"" },
        { "GETRANGE k -1 -5", "$\"\"" },
        { "GETRANGE k 11 20", "$\"\"" },
        { "GETRANGE k 0 -100", "$\"H\"" },
        { "GETRANGE k -9223372036854775808 9223372036854775807", "$\"Hello World\"" },
        { "SUBSTR k 0 4", "$\"Hello\"" },
        { "SET n 12345", "+OK" },
        { "GETRANGE n 1 3", "$\"234\"" },
        { "GETRANGE k a b", NOT_INT },
        { "GETRANGE k 0 b", NOT_INT },
        { "SUBSTR k a b", NOT_INT },
        { "GETRANGE k 0", "-ERR wrong number of arguments for 'getrange' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void strlen_counts_bytes_of_every_encoding(void **state) {
    static const struct exchange rows[] = {
        { "SET k -9223372036854775808", "+OK" },
        { "STRLEN k", ":20" },
        { "SET k \"\\x00\\x00\"", "+OK" },
        { "STRLEN k", ":2" },
        { "SETRANGE k 99999 x", ":100000" },
        { "STRLEN k", ":100000" },
        { "STRLEN", "-ERR wrong number of arguments for 'strlen' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- changing in place ---- */

static void append_creates_grows_and_keeps_the_ttl(void **state) {
    static const struct exchange rows[] = {
        { "APPEND k Hello", ":5" },
        { "APPEND k \" World\"", ":11" },
        { "GET k", "$\"Hello World\"" },
        { "APPEND k \"\"", ":11" },
        { "EXPIRE k 100", ":1" },
        { "APPEND k !", ":12" },
        { "TTL k", ":1..100" },
        { "SET n 10", "+OK" },
        { "APPEND n 5", ":3" },
        { "INCR n", ":106" },
        { "APPEND k", "-ERR wrong number of arguments for 'append' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void setrange_pads_with_zero_bytes(void **state) {
    static const struct exchange rows[] = {
        { "SETRANGE k 3 abc", ":6" },
        { "GET k", "$\"\\x00\\x00\\x00abc\"" },
        { "SETRANGE k 0 xyz", ":6" },
        { "GET k", "$\"xyzabc\"" },
        { "SETRANGE k 4 \"\"", ":6" },
        { "SETRANGE none 4 \"\"", ":0" },
        { "EXISTS none", ":0" },
        { "SET n 12345", "+OK" },
        { "SETRANGE n 1 99", ":5" },
        { "INCR n", ":19946" },
        { "SETRANGE k a v", NOT_INT },
        { "SETRANGE k -1 v", "-ERR offset is out of range" },
        { "SETRANGE k 536870912 v", TOO_BIG },
        { "SETRANGE k 9223372036854775807 v", TOO_BIG },
        { "GET k", "$\"xyzabc\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void no_string_grows_beyond_the_bulk_limit(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET proto-max-bulk-len 1048576", "+OK" },
        { "SETRANGE k 2000000 x", TOO_BIG },
        { "SETRANGE k 1048575 x", ":1048576" },
        { "APPEND k y", TOO_BIG },
        { "STRLEN k", ":1048576" },
        { "CONFIG SET proto-max-bulk-len 512mb", "+OK" },
        { "APPEND k y", ":1048577" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void incr_and_decr_stop_at_the_limits_of_64_bits(void **state) {
    static const struct exchange rows[] = {
        { "INCR k", ":1" },
        { "INCRBY k 41", ":42" },
        { "DECR k", ":41" },
        { "DECRBY k 50", ":-9" },
        { "GET k", "$\"-9\"" },
        { "INCRBY k -1", ":-10" },
        { "SET k 9223372036854775806", "+OK" },
        { "INCR k", ":9223372036854775807" },
        { "INCR k", "-ERR increment or decrement would overflow" },
        { "GET k", "$\"9223372036854775807\"" },
        { "SET k -9223372036854775808", "+OK" },
        { "DECR k", "-ERR increment or decrement would overflow" },
        { "INCRBY k -1", "-ERR increment or decrement would overflow" },
        { "DECRBY k -9223372036854775808", "-ERR decrement would overflow" },
        { "INCRBY k 9223372036854775808", NOT_INT },
        { "INCRBY k a", NOT_INT },
        { "INCRBY k 1.5", NOT_INT },
        { "INCRBY k", "-ERR wrong number of arguments for 'incrby' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void incr_wants_a_canonical_integer(void **state) {
    static const char *const values[] = {
        "v", " 1", "1 ", "01", "+1", "-0", "1.0", "9223372036854775808", ""
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_string_equal(client_ask(c, "SET k \"%s\"", values[i]), "+OK");
        assert_reply(c, "INCR k", NOT_INT);
    }
}

static void incr_keeps_the_ttl(void **state) {
    static const struct exchange rows[] = {
        { "SET k 1 EXAT 4102444800", "+OK" }, { "INCR k", ":2" }, { "INCRBYFLOAT k 0.5", "$\"2.5\"" },
        { "EXPIRETIME k", ":4102444800" },    { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void incrbyfloat_prints_plain_decimals(void **state) {
    static const struct exchange rows[] = {
        { "INCRBYFLOAT k 0.1", "$\"0.1\"" },
        { "INCRBYFLOAT k 0.2", "$\"0.3\"" },
        { "INCRBYFLOAT k -0.3", "$\"0\"" },
        { "SET k 5.0e3", "+OK" },
        { "INCRBYFLOAT k 2.0e2", "$\"5200\"" },
        { "SET k 10.50", "+OK" },
        { "INCRBYFLOAT k 0.1", "$\"10.6\"" },
        { "SET k 3", "+OK" },
        { "INCRBYFLOAT k 1.000", "$\"4\"" },
        { "INCR k", ":5" },
        { "SET k 17179869184", "+OK" },
        { "INCRBYFLOAT k 1.5", "$\"17179869185.5\"" },
        { "SET k v", "+OK" },
        { "INCRBYFLOAT k 1", "-ERR value is not a valid float" },
        { "INCRBYFLOAT none a", "-ERR value is not a valid float" },
        { "SET k 1", "+OK" },
        { "INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity" },
        { "INCRBYFLOAT k nan", "-ERR value is not a valid float" },
        { "SET k \" 1\"", "+OK" },
        { "INCRBYFLOAT k 1", "-ERR value is not a valid float" },
        { "EXISTS none", ":0" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- several keys ---- */

static void mset_and_mget_take_any_number_of_keys(void **state) {
    static const struct exchange rows[] = {
        { "MSET a 1 b 2 a 3", "+OK" },
        { "MGET a b none a", "*[$\"3\", $\"2\", $-1, $\"3\"]" },
        { "MSET a", "-ERR wrong number of arguments for 'mset' command" },
        { "MSET a 1 b", "-ERR wrong number of arguments for 'mset' command" },
        { "MSETNX c 1 a 9", ":0" },
        { "EXISTS c", ":0" },
        { "MSETNX c 1 d 2 c 3", ":1" },
        { "MGET c d", "*[$\"3\", $\"2\"]" },
        { "MSETNX c", "-ERR wrong number of arguments for 'msetnx' command" },
        { "MSETNX c 1 d", "-ERR wrong number of arguments for 'msetnx' command" },
        { "EXPIRE a 100", ":1" },
        { "MSET a 1", "+OK" },
        { "TTL a", ":-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void msetex_sets_all_keys_and_one_time_or_nothing(void **state) {
    static const struct exchange rows[] = {
        { "MSETEX 2 a 1 b 2 EX 100", ":1" },
        { "MGET a b", "*[$\"1\", $\"2\"]" },
        { "TTL a", ":1..100" },
        { "TTL b", ":1..100" },
        { "MSETEX 2 a 9 c 9 NX", ":0" },
        { "MGET a c", "*[$\"1\", $-1]" },
        { "MSETEX 2 a 9 c 9 XX", ":0" },
        { "MGET a c", "*[$\"1\", $-1]" },
        { "MSETEX 2 a 3 b 4 XX KEEPTTL", ":1" },
        { "MGET a b", "*[$\"3\", $\"4\"]" },
        { "TTL a", ":1..100" },
        { "MSETEX 1 a 5", ":1" },
        { "TTL a", ":-1" },
        { "MSETEX 1 d 5 NX PXAT 4102444800123", ":1" },
        { "PEXPIRETIME d", ":4102444800123" },
        { "MSETEX 1 a 5 NX XX", SYNTAX },
        { "MSETEX 1 a 5 EX 10 PX 10", SYNTAX },
        { "MSETEX 1 a 5 EX 0", "-ERR invalid expire time in 'msetex' command" },
        { "MSETEX 1 a", "-ERR wrong number of arguments for 'msetex' command" },
        { "MSETEX 0 a 5", NUMKEYS },
        { "MSETEX -1 a 5", NUMKEYS },
        { "MSETEX x a 5", NUMKEYS },
        { "MSETEX 1.5 a 5", NUMKEYS },
        { "MSETEX 2147483648 a 5", NUMKEYS },
        { "MSETEX 2147483647 a 5", SYNTAX },
        { "MSETEX 3 a 5 b 6", SYNTAX },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void delifeq_deletes_only_the_expected_value(void **state) {
    static const struct exchange rows[] = {
        { "DELIFEQ k v", ":0" },  { "SET k v", "+OK" },
        { "DELIFEQ k w", ":0" },  { "GET k", "$\"v\"" },
        { "DELIFEQ k v", ":1" },  { "EXISTS k", ":0" },
        { "SET k 10", "+OK" },    { "DELIFEQ k 010", ":0" },
        { "DELIFEQ k 10", ":1" }, { "DELIFEQ k", "-ERR wrong number of arguments for 'delifeq' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void lcs_finds_the_longest_common_subsequence(void **state) {
    static const struct exchange rows[] = {
        { "MSET a ohmytext b mynewtext", "+OK" },
        { "LCS a b", "$\"mytext\"" },
        { "LCS a b LEN", ":6" },
        { "LCS a b IDX",
          "*[$\"matches\", *[*[*[:4, :7], *[:5, :8]], *[*[:2, :3], *[:0, :1]]], $\"len\", :6]" },
        { "LCS a b IDX MINMATCHLEN 4", "*[$\"matches\", *[*[*[:4, :7], *[:5, :8]]], $\"len\", :6]" },
        { "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
          "*[$\"matches\", *[*[*[:4, :7], *[:5, :8], :4]], $\"len\", :6]" },
        { "LCS a b IDX MINMATCHLEN -5",
          "*[$\"matches\", *[*[*[:4, :7], *[:5, :8]], *[*[:2, :3], *[:0, :1]]], "
          "$\"len\", :6]" },
        { "LCS a none", "$\"\"" },
        { "LCS a none LEN", ":0" },
        { "LCS a none IDX", "*[$\"matches\", *[], $\"len\", :0]" },
        { "LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX." },
        { "LCS a b FOO", SYNTAX },
        { "LCS a b MINMATCHLEN", SYNTAX },
        { "LCS a b IDX MINMATCHLEN x", NOT_INT },
        { "LCS a", "-ERR wrong number of arguments for 'lcs' command" },
        { "HELLO 3", "%{...}" },
        { "LCS a b IDX MINMATCHLEN 4", "%{$\"matches\": *[*[*[:4, :7], *[:5, :8]]], $\"len\": :6}" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- the same for all ---- */

static void string_commands_refuse_other_types(void **state) {
    static const char *const commands[] = {
        "GET k",          "INCR k",         "DECRBY k 1",   "APPEND k x",
        "GETSET k x",     "SET k v GET",    "GETDEL k",     "GETEX k",
        "STRLEN k",       "GETRANGE k 0 1", "SUBSTR k 0 1", "INCRBYFLOAT k 1",
        "SETRANGE k 0 x", "SET k v IFEQ v", "DELIFEQ k v",  NULL,
    };
    struct client *c = fixture_client(state);
    if (strncmp(client_ask(c, "RPUSH k a"), "-ERR unknown", 12) == 0)
        skip(); /* strings are the only type so far */
    for (size_t i = 0; commands[i]; i++) assert_reply(c, commands[i], WRONGTYPE);
    assert_reply(c, "MGET k", "*[$-1]");
    assert_reply(c, "LCS k none", "-ERR The specified keys must contain string values");
    assert_reply(c, "LLEN k", ":1");
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "GET k", "$\"v\"");
}

static void encodings_have_the_names_clients_know(void **state) {
    static const struct exchange rows[] = {
        { "SET k 9223372036854775807", "+OK" },
        { "OBJECT ENCODING k", "$\"int\"" },
        { "SET k 9223372036854775808", "+OK" },
        { "OBJECT ENCODING k", "$\"embstr\"" },
        { "SET k 01", "+OK" },
        { "OBJECT ENCODING k", "$\"embstr\"" },
        { "SET k aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeee", "+OK" },
        { "OBJECT ENCODING k", "$\"embstr\"" },
        { "SET k aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeee", "+OK" },
        { "OBJECT ENCODING k", "$\"raw\"" },
        { "INCR n", ":1" },
        { "OBJECT ENCODING n", "$\"int\"" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* Sizes around every border a value can meet: inline, separate, shared and bigger than one read. */
static void values_of_every_size_come_back_as_they_went(void **state) {
    static const size_t sizes[] = { 0,     1,     20,    43,    44,    45,    63,     64,      65,     127,
                                    128,   255,   256,   1023,  1024,  1025,  4095,   4096,    16383,  16384,
                                    16385, 20480, 32768, 65535, 65536, 65537, 131072, 1048576, 5000000 };
    struct client *c = fixture_client(state);
    char *bytes = malloc(5000000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 5000000; i++) bytes[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct words set = { 0 };
        words_add_str(&set, "SET");
        words_printf(&set, "key:%zu", sizes[i]);
        words_add(&set, bytes, sizes[i]);
        client_queue_words(c, &set);
        client_queue(c, "GET key:%zu", sizes[i]);
        client_queue(c, "STRLEN key:%zu", sizes[i]);
        client_flush(c);
        assert_next(c, "+OK");
        struct node *reply = client_read(c);
        assert_int_equal(reply->bytes.len, sizes[i]);
        assert_memory_equal(reply->bytes.ptr, bytes, sizes[i]);
        node_free(reply);
        struct node *len = client_read(c);
        assert_int_equal(len->number, sizes[i]);
        node_free(len);
        words_release(&set);
    }
    free(bytes);
}

static void a_deep_pipeline_is_answered_in_order(void **state) {
    enum { DEPTH = 20000 };
    struct client *c = fixture_client(state);
    for (int i = 0; i < DEPTH; i++) client_queue(c, "INCR counter:%d", i % 7);
    client_flush(c);
    for (int i = 0; i < DEPTH; i++) {
        struct node *reply = client_read(c);
        assert_int_equal(reply->number, i / 7 + 1);
        node_free(reply);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(set_stores_bytes_and_replaces_value_type_and_ttl),
        FIXTURE_TEST(set_with_conditions_writes_only_when_they_hold),
        FIXTURE_TEST(set_ifeq_compares_bytes_and_never_creates),
        FIXTURE_TEST(set_takes_relative_and_absolute_times),
        FIXTURE_TEST(set_refuses_bad_options_and_times),
        FIXTURE_TEST(setnx_setex_psetex_and_getset_are_short_forms_of_set),
        FIXTURE_TEST(get_of_nothing_is_nil_and_arity_is_checked),
        FIXTURE_TEST(getdel_returns_and_removes),
        FIXTURE_TEST(getex_reads_and_sets_or_drops_the_time),
        FIXTURE_TEST(getrange_and_substr_count_from_both_ends),
        FIXTURE_TEST(strlen_counts_bytes_of_every_encoding),
        FIXTURE_TEST(append_creates_grows_and_keeps_the_ttl),
        FIXTURE_TEST(setrange_pads_with_zero_bytes),
        FIXTURE_TEST(no_string_grows_beyond_the_bulk_limit),
        FIXTURE_TEST(incr_and_decr_stop_at_the_limits_of_64_bits),
        FIXTURE_TEST(incr_wants_a_canonical_integer),
        FIXTURE_TEST(incr_keeps_the_ttl),
        FIXTURE_TEST(incrbyfloat_prints_plain_decimals),
        FIXTURE_TEST(mset_and_mget_take_any_number_of_keys),
        FIXTURE_TEST(msetex_sets_all_keys_and_one_time_or_nothing),
        FIXTURE_TEST(delifeq_deletes_only_the_expected_value),
        FIXTURE_TEST(lcs_finds_the_longest_common_subsequence),
        FIXTURE_TEST(string_commands_refuse_other_types),
        FIXTURE_TEST(encodings_have_the_names_clients_know),
        FIXTURE_TEST(values_of_every_size_come_back_as_they_went),
        FIXTURE_TEST(a_deep_pipeline_is_answered_in_order),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
