/* test_metrics_health.c: what probes are told when the server does not serve, and clients of HTTP that are
 * slow, many, or both. */
#include "../faults/server_disk.h"
#include "../harness/folder.h"
#include "metrics_server.h"
#include <time.h>

static char data[FOLDER_PATH];

static int setup(void **state) {
    (void)state;
    folder_make(data, "health");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    disk_release();
    folder_remove(data);
    return 0;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- not ready ---- */

static void while_data_is_loaded_the_server_lives_and_is_not_ready(void **state) {
    (void)state;
    struct server *s = server_start("--dir", data, NULL);
    struct client *c = server_connect(s);
    for (int i = 0; i < 1000; i++) client_queue(c, "SET key:%d %d", i, i);
    client_skip(c, 1000);
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_free(s);
    s = metrics_launch((const char *const[]){ "--dir", data, "--key-load-delay", "20000", NULL });
    assert_get_soon("/health/live", 200, "live\n");
    assert_get("/health/ready", "", 503, "loading the data\n");
    struct exposition e = scrape();
    assert_true(exposition_value(&e, "trivet_loading") == 1);
    assert_true(exposition_value(&e, "trivet_loading_total_bytes") > 1000);
    exposition_release(&e);
    c = server_connect(s);
    assert_reply(c, "CONFIG SET key-load-delay 0", "+OK");
    assert_get_soon("/health/ready", 200, "ready\n");
    client_close(c);
    server_free(s);
}

static void while_the_append_only_file_fails_it_is_not_ready(void **state) {
    (void)state;
    disk_watch(data, "");
    struct server *s = METRICS_SERVER("--dir", data, "--appendonly", "yes", "--appendfsync", "always");
    struct client *c = server_connect(s), *other = server_connect(s);
    assert_reply(c, "SET a 1", "+OK");
    assert_get("/health/ready", "", 200, "ready\n");
    disk_fail(DISK_WRITE, "incr.aof", ENOSPC);
    client_send(c, "SET b 1");
    assert_get_soon("/health/ready", 503,
                    "writes are refused: Errors writing to the AOF file: No space left on device\n");
    assert_get("/health/live", "", 200, "live\n");
    struct exposition e = scrape();
    assert_true(exposition_value(&e, "trivet_aof_last_write_ok") == 0);
    exposition_release(&e);
    disk_heal();
    assert_get_soon("/health/ready", 200, "ready\n");
    client_close(other);
    client_close(c);
    server_free(s);
}

static void after_a_failed_save_it_is_ready_only_if_writes_go_on(void **state) {
    (void)state;
    disk_watch(data, "");
    struct server *s = METRICS_SERVER("--dir", data, "--save", "3600 1");
    struct client *c = server_connect(s);
    disk_fail(DISK_OPEN | DISK_WRITE, "", EROFS);
    client_ask(c, "BGSAVE");
    assert_get_soon(
        "/health/ready", 503,
        "writes are refused: Valkey is configured to save RDB snapshots, but it's currently unable to "
        "persist to disk. ...\n");
    assert_reply(c, "SET a 1", "-MISCONF ...");
    assert_reply(c, "CONFIG SET stop-writes-on-bgsave-error no", "+OK");
    assert_get("/health/ready", "", 200, "ready\n");
    disk_heal();
    client_close(c);
    server_free(s);
}

/* On each of the four workers: the one that answers is in the middle of the script, or another. */
static void while_a_script_is_busy_it_is_not_ready(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER("--busy-reply-threshold", "10", "--io-threads", "4");
    struct client *runners[4], *c = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(runners); i++) runners[i] = server_connect(s);
    for (size_t i = 0; i < COUNT_OF(runners); i++) {
        client_send(runners[i], "EVAL \"while true do end\" 0");
        assert_reply_soon(c, "PING", "-BUSY ...");
        assert_get("/health/ready", "", 503,
                   "a script or function is running for longer than busy-reply-threshold\n");
        assert_get("/health/live", "", 200, "live\n");
        struct exposition e = scrape();
        exposition_release(&e);
        assert_reply(c, "SCRIPT KILL", "+OK");
        assert_next(runners[i], "-ERR Script killed by user with SCRIPT KILL. script: ...");
        assert_get("/health/ready", "", 200, "ready\n");
        client_close(runners[i]);
    }
    client_close(c);
    server_free(s);
}

static void a_replica_without_its_primary_is_ready_for_who_takes_old_data(void **state) {
    (void)state;
    struct server *primary = server_launch(&(struct server_plan){ .tcp = true });
    struct server *s = METRICS_SERVER();
    struct client *c = server_connect(s);
    assert_string_equal(client_ask(c, "REPLICAOF 127.0.0.1 %d", server_port(primary)), "+OK");
    assert_get_soon("/health/ready?replica=1", 200, "ready\n");
    server_kill(primary);
    assert_get_soon("/health/ready?replica=1", 503, "the link to the primary is down\n");
    assert_get("/health/ready", "", 200, "ready\n");
    assert_reply(c, "CONFIG SET replica-serve-stale-data no", "+OK");
    assert_get_soon("/health/ready", 503,
                    "the link to the primary is down, and replica-serve-stale-data is no\n");
    assert_reply(c, "REPLICAOF NO ONE", "+OK");
    assert_get_soon("/health/ready?replica=1", 200, "ready\n");
    client_close(c);
    server_free(s);
    server_free(primary);
}

static void if_the_worker_does_not_answer_probes_are_told(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    struct client *c = server_connect(s);
    client_send(c, "DEBUG SLEEP 8");
    int64_t began = now_ms();
    usleep(
        300000); /* if the sleep begins later than this, the next answer is a good one: it is asked again */
    assert_get_soon("/health/live", 503, "Worker 0 has not answered within 5 seconds.\n");
    assert_true(now_ms() - began >= 5000);
    assert_get_soon("/health/live", 200, "live\n");
    assert_next(c, "+OK");
    struct exposition e = scrape();
    exposition_release(&e);
    client_close(c);
    server_free(s);
}

/* ---- slow clients ---- */

#define REQUEST_S 5 /* that a request may take */

static void a_request_must_be_there_in_time(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    int silent = http_must_connect(metrics_port), half = http_must_connect(metrics_port),
        trickling = http_must_connect(metrics_port);
    int64_t began = now_ms();
    assert_true(http_send(half, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-"));
    /* A byte now and then does not help. */
    int bytes = 0;
    for (; bytes < 600 && http_send(trickling, "G"); bytes++) usleep(100000);
    int64_t took = now_ms() - began;
    assert_true(bytes < 600 && took >= REQUEST_S * 1000 - 500);
    assert_true(http_ends(half));
    assert_get("/health/live", "", 200, "live\n");
    /* Who has said nothing may still do so. */
    struct http_reply r;
    assert_true(http_send(silent, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"));
    http_read(silent, false, &r);
    assert_int_equal(r.status, 200);
    http_release(&r);
    close(silent);
    close(half);
    close(trickling);
    server_free(s);
}

/* It asks on and on and takes no answer: its connection is closed, and the memory goes with it. */
static void answers_must_be_taken_in_time(void **state) {
    (void)state;
    static const char request[] = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    struct server *s = METRICS_SERVER("--loglevel", "verbose");
    int fd = http_must_connect(metrics_port), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct timeval wait = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    int64_t began = now_ms();
    ssize_t sent = 1;
    while (now_ms() - began < 60000 && (sent > 0 || errno == EAGAIN))
        sent = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
    assert_true(sent < 0 && errno != EAGAIN);
    server_await_log(s, "for metrics is closed: it is too slow", 1);
    assert_get("/health/live", "", 200, "live\n");
    close(fd);
    server_free(s);
}

#define CONNECTIONS_MAX 64

static void who_has_waited_longest_makes_room(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    struct client *c = server_connect(s);
    assert_reply_soon(c, "INFO clients", "...connected_clients:1...");
    int fds[CONNECTIONS_MAX + 10], files = server_open_files(s);
    for (int i = 0; i < CONNECTIONS_MAX + 10; i++) {
        struct http_reply r;
        fds[i] = http_must_connect(metrics_port);
        assert_true(http_send(fds[i], "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"));
        http_read(fds[i], false, &r);
        assert_int_equal(r.status, 200);
        http_release(&r);
    }
    assert_int_equal(server_open_files(s), files + CONNECTIONS_MAX);
    for (int i = 0; i < 10; i++) assert_true(http_ends(fds[i]));
    for (int i = 10; i < CONNECTIONS_MAX + 10; i++) {
        struct http_reply r;
        assert_true(http_send(fds[i], "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"));
        http_read(fds[i], false, &r);
        assert_int_equal(r.status, 200);
        http_release(&r);
    }
    for (int i = 0; i < CONNECTIONS_MAX + 10; i++) close(fds[i]);
    client_close(c);
    server_free(s);
}

/* Connections that go away at any moment leave nothing behind. */
static void clients_may_go_at_any_moment(void **state) {
    (void)state;
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    struct server *s = METRICS_SERVER();
    int files = server_open_files(s);
    for (size_t cut = 0; cut <= sizeof request - 1; cut++) {
        struct linger reset = { 1, 0 };
        int fd = http_must_connect(metrics_port);
        assert_true(send(fd, request, cut, MSG_NOSIGNAL) == (ssize_t)cut);
        if (cut % 2) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    assert_get("/metrics", "", 200, "# HELP ...");
    for (int tries = 0; server_open_files(s) > files; tries++) {
        if (tries == 3000) fail_msg("%d files are open, there were %d", server_open_files(s), files);
        usleep(10000);
    }
    server_free(s);
}

static void the_server_ends_with_scrapers_connected(void **state) {
    (void)state;
    struct server *s = METRICS_SERVER();
    int fds[20];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = http_must_connect(metrics_port);
        assert_true(http_send(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    server_stop(s);
    for (size_t i = 0; i < COUNT_OF(fds); i++) close(fds[i]);
    server_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(while_data_is_loaded_the_server_lives_and_is_not_ready),
        TEST(while_the_append_only_file_fails_it_is_not_ready),
        TEST(after_a_failed_save_it_is_ready_only_if_writes_go_on),
        TEST(while_a_script_is_busy_it_is_not_ready),
        TEST(a_replica_without_its_primary_is_ready_for_who_takes_old_data),
        TEST(if_the_worker_does_not_answer_probes_are_told),
        TEST(a_request_must_be_there_in_time),
        TEST(answers_must_be_taken_in_time),
        TEST(who_has_waited_longest_makes_room),
        TEST(clients_may_go_at_any_moment),
        TEST(the_server_ends_with_scrapers_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
