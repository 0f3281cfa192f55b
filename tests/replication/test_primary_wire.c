/* test_primary_wire.c: what a primary says to its replicas, byte for byte, seen by a replica that the test
 * speaks by hand: the handshake, the answers to PSYNC, both forms of the transfer, and the stream.
 *
 * What holds for Redis 7.0 too is asked of redis-server as well: then the test is known to be right. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/saves.h"
#include "../harness/wire.h"
#include "../integration/files.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const enum peer both[] = { PEER_REDIS, PEER_TRIVET };

/* No PING comes between the bytes that a test expects. */
#define WITHOUT_PINGS "--repl-ping-replica-period", "3600"
static const char *const diskless[] = { "--repl-diskless-sync", "yes", WITHOUT_PINGS, NULL };
static const char *const by_disk[] = { "--repl-diskless-sync", "no", WITHOUT_PINGS, NULL };

/* Says everything that a new replica says, and asks for all. */
static struct wire *ask_for_all(struct server *s, const char *capabilities) {
    struct wire *w = wire_connect(server_port(s));
    wire_tell(w, "PING");
    assert_string_equal(wire_line(w), "+PONG");
    wire_tell(w, "REPLCONF listening-port 1234 %s", capabilities);
    assert_string_equal(wire_line(w), "+OK");
    wire_tell(w, "PSYNC ? -1");
    return w;
}

#define MODERN "capa eof capa psync2"

/* A replica that is online, at the beginning of the stream. */
static struct wire *become_replica(struct server *s, struct wire_sync *sync) {
    struct wire *w = ask_for_all(s, MODERN);
    wire_read_fullresync(w, sync);
    wire_read_rdb(w, sync);
    wire_acknowledge(w, sync->offset);
    return w;
}

/* The bytes of a transfer are a dump, which another server loads to the same data. */
static void assert_loads(struct server *s, const struct text *rdb, enum peer kind) {
    char digest[DIGEST_TEXT];
    struct client *c = server_connect(s);
    saves_digest(c, digest);
    client_close(c);
    struct server *other = peer_start(kind, NULL);
    server_stop(other);
    file_write(server_path(other, "dump.rdb"), rdb);
    server_restart(other);
    c = server_connect(other);
    assert_reply(c, "DEBUG DIGEST", digest);
    client_close(c);
    server_free(other);
}

/* ---- REPLCONF and PSYNC without a transfer ---- */

static const struct exchange old_replconf[] = {
    { "REPLCONF", "+OK" },
    { "REPLCONF listening-port", "-ERR syntax error" },
    { "REPLCONF listening-port 6380", "+OK" },
    { "REPLCONF listening-port 0", "+OK" },
    { "REPLCONF listening-port a", "-ERR value is not an integer or out of range" },
    { "REPLCONF LISTENING-PORT 6380 capa eof capa psync2 ip-address 10.1.2.3", "+OK" },
    { "REPLCONF capa eof capa nosuch", "+OK" },
    { "REPLCONF nosuch 1", "-ERR Unrecognized REPLCONF option: nosuch" },
    { "REPLCONF listening-port 1 nosuch 1", "-ERR Unrecognized REPLCONF option: nosuch" },
    { "REPLCONF rdb-only 0", "+OK" },
    { "REPLCONF rdb-only a", "-ERR value is not an integer or out of range" },
    { "REPLCONF rdb-filter-only functions", "+OK" },
    { "REPLCONF rdb-filter-only \"\"", "+OK" },
    { "REPLCONF rdb-filter-only nosuch", "-ERR Unsupported rdb-filter-only option: nosuch" },
    { "PSYNC a", "-ERR wrong number of arguments for 'psync' command" },
    { "PSYNC ? x", "-ERR value is not an integer or out of range" },
    { "SYNC x", "-ERR wrong number of arguments for 'sync' command" },
    { "REPLCONF ip-address %0300d", "-ERR REPLCONF ip-address provided by replica instance is too long: "
                                    "300 bytes" },
    { NULL, NULL },
};

static const struct exchange new_replconf[] = {
    { "REPLCONF version 9.0.4", "+OK" },
    { "REPLCONF version 8.1.0 capa eof", "+OK" },
    { "REPLCONF version 9.0", "-ERR Unrecognized version format: 9.0" },
    { "REPLCONF version x", "-ERR Unrecognized version format: x" },
    { "REPLCONF rdb-only 2", "-ERR value is out of range, value must between 0 and 1" },
    { "PSYNC ? -1 FAILOVER", "-ERR PSYNC FAILOVER can't be sent to a master." },
    { NULL, NULL },
};

/* The exchanges, each on a connection of its own. */
static void exchange_all(struct server *s, const struct exchange *rows) {
    for (; rows->command; rows++) {
        struct text command = { 0 };
        const char *zeros = strstr(rows->command, "%0300d");
        text_append_str(&command, rows->command);
        if (zeros) {
            command.len = (size_t)(zeros - rows->command);
            for (int i = 0; i < 300; i++) text_append_char(&command, '0');
        }
        struct client *c = server_connect_tcp(s);
        assert_reply(c, text_str(&command), rows->reply);
        client_close(c);
        text_release(&command);
    }
}

static void replconf_answers_each_option(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], NULL);
        exchange_all(s, old_replconf);
        if (!peer_is_reference(s)) exchange_all(s, new_replconf);
        server_free(s);
    }
}

/* What comes next is the answer to PING. */
static void ack_and_getack_get_no_reply(void **state) {
    (void)state;
    static const char *const silent[] = { "REPLCONF ACK 5", "REPLCONF ack 5 FACK 3", "REPLCONF GETACK *" };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], NULL);
        struct client *c = server_connect_tcp(s);
        for (size_t j = 0; j < COUNT_OF(silent); j++) {
            client_send(c, "%s", silent[j]);
            assert_reply(c, "PING", "+PONG");
        }
        client_close(c);
        server_free(s);
    }
}

static void psync_is_not_for_transactions(void **state) {
    (void)state;
    struct server *s = peer_start(PEER_TRIVET, NULL);
    struct client *c = server_connect_tcp(s);
    assert_reply(c, "MULTI", "+OK");
    assert_reply(c, "PSYNC ? -1", "-ERR Command ...not allowed inside a transaction");
    assert_reply(c, "SYNC", "-ERR Command ...not allowed inside a transaction");
    assert_reply(c, "EXEC", "-EXECABORT ...");
    client_close(c);
    server_free(s);
}

/* ---- the transfer ---- */

static void fill(struct server *s) {
    struct client *c = server_connect(s);
    client_ask(c, "DEBUG POPULATE 2000");
    client_ask(c, "RPUSH list a b c");
    client_ask(c, "SELECT 3");
    client_ask(c, "ZADD z 1 a 2 b");
    client_ask(c, "SET expiring v EX 10000");
    client_close(c);
}

/* Without a version the replica may be of 7.0, which reads nothing newer. */
static void both_forms_carry_the_data(void **state) {
    (void)state;
    static const struct {
        const char *const *args;
        const char *capabilities;
        bool by_mark;
    } rows[] = { { diskless, MODERN, true }, { diskless, "capa psync2", false }, { by_disk, MODERN, false } };
    for (size_t i = 0; i < COUNT_OF(both); i++)
        for (size_t row = 0; row < COUNT_OF(rows); row++) {
            struct server *s = peer_start(both[i], rows[row].args);
            struct wire_sync sync = { 0 };
            fill(s);
            struct wire *w = ask_for_all(s, rows[row].capabilities);
            wire_read_fullresync(w, &sync);
            wire_read_rdb(w, &sync);
            assert_int_equal(sync.by_mark, rows[row].by_mark);
            assert_true(sync.rdb.len > 9);
            assert_memory_equal(sync.rdb.ptr, "REDIS0010", 9);
            assert_loads(s, &sync.rdb, PEER_REDIS);
            wire_close(w);
            wire_sync_release(&sync);
            server_free(s);
        }
}

static void the_version_chooses_the_form_of_the_dump(void **state) {
    (void)state;
    static const struct {
        const char *version, *magic;
    } rows[] = { { "9.0.0", "VALKEY080" }, { "9.1.2", "VALKEY080" }, { "8.1.3", "REDIS0011" } };
    struct server *s = peer_start(PEER_TRIVET, diskless);
    if (peer_is_reference(s)) skip();
    struct client *c = server_connect(s);
    client_ask(c, "HSET h f v g w");
    client_ask(c, "HEXPIRE h 10000 FIELDS 1 f");
    client_close(c);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wire_sync sync = { 0 };
        struct text said = { 0 };
        text_printf(&said, MODERN " version %s", rows[i].version);
        struct wire *w = ask_for_all(s, text_str(&said));
        wire_read_fullresync(w, &sync);
        wire_read_rdb(w, &sync);
        if (memcmp(sync.rdb.ptr, rows[i].magic, 9) != 0)
            HARNESS_FAIL("version %s got %.9s", rows[i].version, sync.rdb.ptr);
        wire_close(w);
        wire_sync_release(&sync);
        text_release(&said);
    }
    server_free(s);
}

/* The offset of the answer, in the dump and in INFO is one. */
static void the_dump_names_its_place_in_the_stream(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], diskless);
        struct wire_sync first = { 0 }, sync = { 0 };
        struct wire *other = become_replica(s, &first);
        fill(s);
        struct wire *w = ask_for_all(s, MODERN);
        wire_read_fullresync(w, &sync);
        wire_read_rdb(w, &sync);
        struct text offset = { 0 };
        text_printf(&offset, "%lld", (long long)sync.offset);
        assert_true(sync.offset > first.offset);
        assert_string_equal(sync.id, first.id);
        assert_non_null(memmem(sync.rdb.ptr, sync.rdb.len, "repl-stream-db", 14));
        assert_non_null(memmem(sync.rdb.ptr, sync.rdb.len, sync.id, 40));
        assert_non_null(memmem(sync.rdb.ptr, sync.rdb.len, "repl-offset", 11));
        struct replication now;
        replication_look(s, &now);
        assert_true(now.offset == sync.offset || now.offset == sync.offset + 14); /* a PING */
        wire_close(w);
        wire_close(other);
        text_release(&offset);
        wire_sync_release(&sync);
        wire_sync_release(&first);
        server_free(s);
    }
}

/* SYNC has no line of an answer, and its replica never acknowledges. */
static void the_old_sync_is_served(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], diskless);
        struct wire_sync sync = { 0 };
        struct client *c = server_connect(s);
        client_ask(c, "SET k v");
        struct wire *w = wire_connect(server_port(s));
        wire_say(w, "SYNC\r\n");
        wire_read_rdb(w, &sync);
        assert_false(sync.by_mark);
        client_ask(c, "SET k w");
        assert_string_equal(wire_next(w), "SELECT 0");
        assert_string_equal(wire_next(w), "SET k w");
        client_close(c);
        wire_close(w);
        wire_sync_release(&sync);
        server_free(s);
    }
}

static void a_waiting_replica_gets_signs_of_life(void **state) {
    (void)state;
    static const char *const slow[] = { "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "3",
                                        NULL };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], slow);
        struct wire *w = ask_for_all(s, MODERN);
        assert_in_range(wire_newlines(w), 1, 8);
        wire_close(w);
        server_free(s);
    }
}

static void a_replica_may_want_the_dump_only(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], diskless);
        struct wire_sync sync = { 0 };
        struct client *c = server_connect(s);
        client_ask(c, "SET thekey v");
        client_ask(c, "FUNCTION LOAD \"#!lua name=thelib\\nredis.register_function('f', function() end)\"");
        struct wire *w = ask_for_all(s, MODERN " rdb-only 1");
        wire_read_fullresync(w, &sync);
        wire_read_rdb(w, &sync);
        assert_non_null(memmem(sync.rdb.ptr, sync.rdb.len, "thekey", 6));
        wire_await_end(w);
        wire_close(w);

        w = ask_for_all(s, MODERN " rdb-only 1 rdb-filter-only functions");
        wire_read_fullresync(w, &sync);
        wire_read_rdb(w, &sync);
        assert_null(memmem(sync.rdb.ptr, sync.rdb.len, "thekey", 6));
        assert_non_null(memmem(sync.rdb.ptr, sync.rdb.len, "thelib", 6));
        wire_await_end(w);
        wire_close(w);

        w = ask_for_all(s, "rdb-filter-only functions");
        assert_string_equal(wire_line(w), "-ERR Filtered replica requires EOF capability");
        wire_close(w);
        client_close(c);
        wire_sync_release(&sync);
        server_free(s);
    }
}

static void two_replicas_share_a_transfer(void **state) {
    (void)state;
    static const char *const wait[] = { "--repl-diskless-sync",
                                        "yes",
                                        "--repl-diskless-sync-delay",
                                        "30",
                                        "--repl-diskless-sync-max-replicas",
                                        "2",
                                        NULL };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], wait);
        struct wire_sync one = { 0 }, other = { 0 };
        struct wire *first = ask_for_all(s, MODERN), *second = ask_for_all(s, MODERN);
        wire_read_fullresync(first, &one);
        wire_read_fullresync(second, &other);
        assert_int_equal(one.offset, other.offset);
        wire_read_rdb(first, &one);
        wire_read_rdb(second, &other);
        assert_int_equal(one.rdb.len, other.rdb.len);
        assert_memory_equal(one.rdb.ptr, other.rdb.ptr, one.rdb.len);
        wire_close(first);
        wire_close(second);
        wire_sync_release(&one);
        wire_sync_release(&other);
        server_free(s);
    }
}

/* ---- partial synchronization ---- */

static struct wire *ask_for(struct server *s, const char *capabilities, const char *id, int64_t offset) {
    struct wire *w = wire_connect(server_port(s));
    wire_tell(w, "REPLCONF listening-port 1234 %s", capabilities);
    assert_string_equal(wire_line(w), "+OK");
    wire_tell(w, "PSYNC %s %lld", id, (long long)offset);
    return w;
}

static void play_partial(struct server *s) {
    struct wire_sync sync = { 0 };
    struct replication now;
    struct client *c = server_connect(s);
    struct wire *w = become_replica(s, &sync);
    client_ask(c, "SET a 1");
    assert_string_equal(wire_next(w), "SELECT 0");
    assert_string_equal(wire_next(w), "SET a 1");
    wire_abandon(w);
    replication_look(s, &now);
    client_ask(c, "SET b 2");

    w = ask_for(s, MODERN, sync.id, now.offset + 1);
    assert_memory_equal(wire_line(w), "+CONTINUE ", 10);
    assert_string_equal(wire_next(w), "SET b 2");
    wire_close(w);

    /* Everything from the beginning, to a replica that knows no ids, in capitals. */
    for (char *letter = sync.id; *letter; letter++) *letter = (char)toupper(*letter);
    w = ask_for(s, "capa eof", sync.id, sync.offset + 1);
    assert_string_equal(wire_line(w), "+CONTINUE");
    assert_string_equal(wire_next(w), "SELECT 0");
    assert_string_equal(wire_next(w), "SET a 1");
    assert_string_equal(wire_next(w), "SET b 2");
    wire_close(w);

    /* The end of the stream is the last that can be asked for. */
    replication_look(s, &now);
    w = ask_for(s, MODERN, sync.id, now.offset + 1);
    assert_memory_equal(wire_line(w), "+CONTINUE ", 10);
    client_ask(c, "SET c 3");
    assert_string_equal(wire_next(w), "SET c 3");
    wire_close(w);
    replication_look(s, &now);
    w = ask_for(s, MODERN, sync.id, now.offset + 2);
    wire_read_fullresync(w, &sync);
    wire_close(w);
    w = ask_for(s, MODERN, "0123456789012345678901234567890123456789", now.offset + 1);
    wire_read_fullresync(w, &sync);
    wire_close(w);

    replication_look(s, &now);
    assert_int_equal(now.partial, 3);
    assert_int_equal(now.refused, 2);
    client_close(c);
    wire_sync_release(&sync);
}

static void a_replica_may_go_on(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], diskless);
        play_partial(s);
        server_free(s);
    }
}

static void a_replica_without_a_link_serves_nobody(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct server *s = peer_start(both[i], NULL);
        struct wire_listener *nobody = wire_listen();
        replication_follow(s, wire_port(nobody));
        struct client *c = server_connect_tcp(s);
        assert_reply(c, "PSYNC ? -1", "-NOMASTERLINK Can't SYNC while not connected with my master");
        client_close(c);
        c = server_connect(s);
        assert_reply(c, "CONFIG SET replica-serve-stale-data no", "+OK");
        assert_reply(c, "PSYNC ? -1", "-MASTERDOWN ...");
        client_close(c);
        server_free(s);
        wire_listener_close(nobody);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replconf_answers_each_option),
        cmocka_unit_test(ack_and_getack_get_no_reply),
        cmocka_unit_test(psync_is_not_for_transactions),
        cmocka_unit_test(both_forms_carry_the_data),
        cmocka_unit_test(the_version_chooses_the_form_of_the_dump),
        cmocka_unit_test(the_dump_names_its_place_in_the_stream),
        cmocka_unit_test(the_old_sync_is_served),
        cmocka_unit_test(a_waiting_replica_gets_signs_of_life),
        cmocka_unit_test(a_replica_may_want_the_dump_only),
        cmocka_unit_test(two_replicas_share_a_transfer),
        cmocka_unit_test(a_replica_may_go_on),
        cmocka_unit_test(a_replica_without_a_link_serves_nobody),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
