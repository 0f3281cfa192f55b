/* test_links.c: links with passwords and users, and programs that are replicas: redis-cli fetches dumps from
 * Trivet and watches its stream. */
#include "../harness/check.h"
#include "../harness/fail.h"
#include "../harness/fixture.h"
#include "../harness/replication.h"
#include "../harness/saves.h"
#include "../integration/files.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static void fill(struct server *s) {
    struct client *c = server_connect(s);
    client_ask(c, "DEBUG POPULATE 1000");
    client_ask(c, "SELECT 3");
    client_ask(c, "ZADD z 1 a 2 b");
    client_ask(c, "FUNCTION LOAD \"#!lua name=thelib\\nredis.register_function('f', function() end)\"");
    client_close(c);
}

/* ---- redis-cli ---- */

/* Runs redis-cli with these options, which must end well. */
static void run_redis_cli(struct server *s, const char *options, const char *file) {
    char command[512];
    snprintf(command, sizeof command, "timeout 60 redis-cli -p %d %s '%s' >'%s.out' 2>&1", server_port(s),
             options, file, file);
    if (system(command) != 0) HARNESS_FAIL("failed: %s", command);
}

/* Another server takes the dump for its own. */
static struct client *load_elsewhere(struct text *dump, struct server **other) {
    *other = peer_start(PEER_REDIS, NULL);
    server_stop(*other);
    file_write(server_path(*other, "dump.rdb"), dump);
    server_restart(*other);
    return server_connect(*other);
}

static void redis_cli_fetches_a_dump(void **state) {
    (void)state;
    struct server *s = peer_start(PEER_TRIVET, NULL), *other;
    struct text dump = { 0 };
    char digest[DIGEST_TEXT], path[512];
    fill(s);
    snprintf(path, sizeof path, "%s", server_path(s, "fetched.rdb"));
    run_redis_cli(s, "--rdb", path);
    file_read(path, &dump);
    struct client *c = server_connect(s);
    saves_digest(c, digest);
    client_close(c);
    c = load_elsewhere(&dump, &other);
    assert_reply(c, "DEBUG DIGEST", digest);
    assert_reply(c, "FUNCTION LIST LIBRARYNAME thelib", "*[*[...thelib...");
    client_close(c);
    server_free(other);
    server_free(s);
    text_release(&dump);
}

static void redis_cli_fetches_functions(void **state) {
    (void)state;
    struct server *s = peer_start(PEER_TRIVET, NULL), *other;
    struct text dump = { 0 };
    char path[512];
    fill(s);
    snprintf(path, sizeof path, "%s", server_path(s, "functions.rdb"));
    run_redis_cli(s, "--functions-rdb", path);
    file_read(path, &dump);
    struct client *c = load_elsewhere(&dump, &other);
    assert_reply(c, "INFO keyspace", "$\"# Keyspace\\r\\n\"");
    assert_reply(c, "FUNCTION LIST LIBRARYNAME thelib", "*[*[...thelib...");
    client_close(c);
    server_free(other);
    server_free(s);
    text_release(&dump);
}

/* Waits until the file has this. */
static void await_in_file(const char *path, const char *needle) {
    struct text text = { 0 };
    for (int waited = 0; waited < REPLICATION_PATIENCE_MS; waited += 5) {
        if (file_exists(path)) file_read(path, &text);
        if (strstr(text_str(&text), needle)) {
            text_release(&text);
            return;
        }
        pause_ms(5);
    }
    HARNESS_FAIL("redis-cli never printed %s, but: %s", needle, text_str(&text));
}

static void redis_cli_watches_the_stream(void **state) {
    (void)state;
    struct server *s = peer_start(PEER_TRIVET, NULL);
    char path[512], port[16];
    fill(s);
    snprintf(path, sizeof path, "%s", server_path(s, "stream.out"));
    snprintf(port, sizeof port, "%d", server_port(s));
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen(path, "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
        execlp("redis-cli", "redis-cli", "-p", port, "--replica", (char *)NULL);
        _exit(127);
    }
    struct client *c = server_connect(s);
    assert_reply_soon(c, "INFO replication", "...state=online...");
    assert_reply(c, "SET a 1", "+OK");
    await_in_file(path, "\"SET\",\"a\",\"1\"");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    client_close(c);
    server_free(s);
}

/* ---- passwords ---- */

static bool link_is_down(const struct replication *r) { return !r->link_up; }

static void set(struct server *s, const char *command) {
    struct client *c = server_connect(s);
    assert_reply(c, command, "+OK");
    client_close(c);
}

/* With a wrong password the link stays down, with the right one it comes. */
static void log_in(enum peer primary_kind, enum peer replica_kind) {
    struct server *primary = peer_start(primary_kind, NULL), *replica = peer_start(replica_kind, NULL);
    struct client *c = server_connect(primary);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "ACL SETUSER link on >secret +psync +replconf +ping", "+OK");
    assert_reply(c, "ACL SETUSER watcher on nopass ~* &* +@all", "+OK");
    assert_reply(c, "ACL SETUSER default -@all +auth", "+OK");
    assert_reply(c, "AUTH watcher x", "+OK");
    set(replica, "CONFIG SET masteruser link");
    set(replica, "CONFIG SET masterauth wrong");
    replication_follow(replica, server_port(primary));
    assert_reply_soon(c, "ACL LOG", "*[...$\"auth\"...$\"link\"...");
    replication_await_that(link_is_down, replica, "no link without the password");
    set(replica, "CONFIG SET masterauth secret");
    replication_await_link(replica);
    struct client *r = server_connect(replica);
    assert_reply_soon(r, "GET k", "$\"v\"");
    assert_reply(c, "SET k w", "+OK");
    assert_reply_soon(r, "GET k", "$\"w\"");
    client_close(r);
    client_close(c);
    server_free(replica);
    server_free(primary);
}

static void a_user_for_replication_is_enough(void **state) {
    (void)state;
    log_in(PEER_TRIVET, PEER_TRIVET);
    log_in(PEER_REDIS, PEER_TRIVET);
    log_in(PEER_TRIVET, PEER_REDIS);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_cli_fetches_a_dump),
        cmocka_unit_test(redis_cli_fetches_functions),
        cmocka_unit_test(redis_cli_watches_the_stream),
        cmocka_unit_test(a_user_for_replication_is_enough),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
