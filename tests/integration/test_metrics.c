/* test_metrics.c: what /metrics tells, in the form that Prometheus reads, and the other paths: with four
 * workers, while clients are busy, and for many scrapers at once. */
#include "files.h"
#include "metrics_server.h"
#include <pthread.h>
#include <stdatomic.h>

static struct server *server;
static struct client *client;

static int start(void **state) {
    (void)state;
    server = METRICS_SERVER("--appendonly", "yes", "--loglevel", "debug", "--io-threads", "4");
    return 0;
}

static int stop(void **state) {
    (void)state;
    server_free(server);
    return 0;
}

static int open_client(void **state) {
    (void)state;
    client = server_connect(server);
    assert_reply(client, "FLUSHALL", "+OK");
    return 0;
}

static int close_client(void **state) {
    (void)state;
    client_close(client);
    return 0;
}

static void assert_series(const struct exposition *e, const char *name, double expected) {
    double value = exposition_value(e, name);
    if (value != expected) fail_msg("%s is %.17g instead of %.17g", name, value, expected);
}

/* ---- what it tells ---- */

/* Something of everything: errors with every sort of byte in their code, commands that fail and that are
 * refused, databases, subscribers, keys that expire. */
static void use_everything(void) {
    static const char *const commands[] = {
        "SET a 1",       "SET b 2 EX 1000",    "GET a",    "GET a",    "GET missing", "INCR a",
        "LPUSH a x",     "GET",                "nosuch",   "SELECT 3", "SET c 1",     "SELECT 0",
        "CONFIG GET x*", "OBJECT ENCODING a",
        "EVAL \"return redis.error_reply('\\x80\\\"\\\\\\x7f}{ odd')\" 0",
        "EVAL \"return redis.error_reply('\\xc3\\xa4\\xc3\\xb6 letters')\" 0",
    };
    for (size_t i = 0; i < COUNT_OF(commands); i++) client_ask(client, "%s", commands[i]);
}

static void every_line_has_the_form_of_prometheus(void **state) {
    (void)state;
    use_everything();
    struct exposition e = scrape();
    assert_true(e.count > 300);
    static const char *const series[] = {
        "trivet_used_memory_bytes", "trivet_maxmemory_bytes", "trivet_mem_fragmentation_ratio",
        "trivet_connected_clients", "trivet_blocked_clients", "trivet_pubsub_channels",
        "trivet_pubsub_patterns", "trivet_pubsub_clients", "trivet_pubsub_messages_delivered_total",
        "trivet_pubsub_messages_dropped_total", "trivet_aof_current_size_bytes",
        "trivet_aof_last_fsync_seconds", "trivet_aof_rewrite_in_progress", "trivet_rdb_last_bgsave_ok",
        "trivet_rdb_last_save_time_seconds", "trivet_aof_last_write_ok", "trivet_evicted_keys_total",
        "trivet_expired_keys_total", "trivet_instantaneous_ops_per_sec", "trivet_used_cpu_user_seconds_total",
        "trivet_uptime_in_seconds", "trivet_keyspace_hits_total", "trivet_connected_slaves",
        "trivet_worker_clients{worker=\"3\"}", "trivet_worker_turns_total{worker=\"0\"}",
        "trivet_memory_held_bytes{by=\"clients\"}", "trivet_memory_held_bytes{by=\"replication\"}",
        "trivet_memory_held_bytes{by=\"scripts\"}", "trivet_memory_held_bytes{by=\"aof_buffer\"}",
        "trivet_command_latency_seconds_bucket{command=\"set\",le=\"0.000008\"}",
        "trivet_command_latency_seconds_bucket{command=\"set\",le=\"+Inf\"}",
        "trivet_command_latency_seconds_sum{command=\"set\"}",
    };
    for (size_t i = 0; i < COUNT_OF(series); i++) (void)exposition_value(&e, series[i]);
    exposition_release(&e);
}

static void what_is_always_nothing_is_left_out(void **state) {
    (void)state;
    struct exposition e = scrape();
    for (size_t i = 0; i < e.count; i++) {
        const char *name = e.at[i].name;
        if (strstr(name, "_human") || strstr(name, "fork_usec") || strstr(name, "cluster_connections"))
            fail_msg("%s says nothing", name);
    }
    exposition_release(&e);
}

static double sum_over_workers(const struct exposition *e, const char *family) {
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s{worker=\"%d\"}", family, i);
        sum += exposition_value(e, name);
    }
    return sum;
}

static void numbers_are_those_of_info(void **state) {
    (void)state;
    assert_reply(client, "CONFIG RESETSTAT", "+OK");
    use_everything();
    struct client *others[6];
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        others[i] = server_connect(server);
        assert_reply(others[i], "PING", "+PONG");
    }
    struct exposition e = scrape();
    assert_series(&e, "trivet_db_keys{db=\"0\"}", 2);
    assert_series(&e, "trivet_db_expires{db=\"0\"}", 1);
    assert_series(&e, "trivet_db_keys{db=\"3\"}", 1);
    assert_series(&e, "trivet_db_expires{db=\"3\"}", 0);
    assert_series(&e, "trivet_keyspace_hits_total", 3); /* OBJECT is one */
    assert_series(&e, "trivet_keyspace_misses_total", 1);
    assert_series(&e, "trivet_keyspace_hit_ratio", 0.75);
    assert_series(&e, "trivet_command_calls_total{command=\"get\"}", 3);
    assert_series(&e, "trivet_command_rejected_total{command=\"get\"}", 1);
    assert_series(&e, "trivet_command_failed_total{command=\"get\"}", 0);
    assert_series(&e, "trivet_command_failed_total{command=\"lpush\"}", 1);
    assert_series(&e, "trivet_command_calls_total{command=\"config|get\"}", 1);
    assert_series(&e, "trivet_command_latency_seconds_count{command=\"get\"}", 3);
    assert_series(&e, "trivet_command_latency_seconds_count{command=\"ping\"}", 6);
    assert_series(&e, "trivet_errors_total{code=\"ERR\"}", 2);
    assert_series(&e, "trivet_errors_total{code=\"WRONGTYPE\"}", 1);
    assert_series(&e, "trivet_errors_total{code=\"\\\\x80\\\"\\\\x7f}{\"}", 1);
    assert_series(&e, "trivet_errors_total{code=\"\xc3\xa4\xc3\xb6\"}", 1);
    assert_series(&e, "trivet_total_error_replies_total", 5);
    assert_series(&e, "trivet_connected_clients", 7);
    assert_true(sum_over_workers(&e, "trivet_worker_clients") == 7);
    assert_true(sum_over_workers(&e, "trivet_worker_commands_total") ==
                exposition_value(&e, "trivet_total_commands_processed_total"));
    assert_series(&e, "trivet_aof_enabled", 1);
    assert_series(&e, "trivet_aof_last_write_ok", 1);
    assert_int_equal(exposition_value(&e, "trivet_aof_current_size_bytes"),
                     info_number(client, "persistence", "aof_current_size"));
    assert_int_equal(exposition_value(&e, "trivet_rdb_last_save_time_seconds"),
                     info_number(client, "persistence", "rdb_last_save_time"));
    exposition_release(&e);
    for (size_t i = 0; i < COUNT_OF(others); i++) client_close(others[i]);
}

static void parts_of_memory_add_up(void **state) {
    (void)state;
    static const char *const parts[] = {
        "data", "overhead", "clients", "aof_buffer", "scripts", "replication"
    };
    for (int i = 0; i < 200; i++) client_queue(client, "SET key:%d %01000d", i, i);
    client_skip(client, 200);
    struct exposition e = scrape();
    double sum = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        char name[128];
        snprintf(name, sizeof name, "trivet_memory_held_bytes{by=\"%s\"}", parts[i]);
        sum += exposition_value(&e, name);
    }
    assert_true(sum == exposition_value(&e, "trivet_used_memory_bytes"));
    assert_true(exposition_value(&e, "trivet_memory_held_bytes{by=\"data\"}") > 200000);
    assert_true(exposition_value(&e, "trivet_memory_held_bytes{by=\"scripts\"}") > 10000);
    exposition_release(&e);
}

static void one_series_says_what_the_server_is(void **state) {
    (void)state;
    struct exposition e = scrape();
    const char *info = NULL;
    for (size_t i = 0; i < e.count; i++)
        if (strncmp(e.at[i].name, "trivet_info{", 12) == 0) info = e.at[i].name;
    assert_non_null(info);
    char port[32], run_id[80];
    snprintf(port, sizeof port, "tcp_port=\"%d\"", server_port(server));
    snprintf(run_id, sizeof run_id, "run_id=\"%s\"", info_field(client, "server", "run_id"));
    const char *const labels[] = { port,
                                   run_id,
                                   "role=\"master\"",
                                   "maxmemory_policy=\"noeviction\"",
                                   "mode=\"standalone\"",
                                   "version=\"",
                                   "os=\"Linux " };
    for (size_t i = 0; i < COUNT_OF(labels); i++)
        if (!strstr(info, labels[i])) fail_msg("no %s in %s", labels[i], info);
    exposition_release(&e);
}

static void counters_never_fall_between_scrapes(void **state) {
    (void)state;
    struct exposition before = scrape();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 500; i++) client_queue(client, "INCR n:%d", i % 7);
        client_skip(client, 500);
        struct exposition after = scrape();
        size_t counters = 0;
        for (size_t i = 0; i < before.count; i++) {
            const struct series *s = &before.at[i];
            if (!s->is_counter) continue;
            double value = exposition_value(&after, s->name);
            if (value < s->value) fail_msg("%s fell from %.17g to %.17g", s->name, s->value, value);
            counters++;
        }
        assert_true(counters > 100);
        exposition_release(&before);
        before = after;
    }
    exposition_release(&before);
}

/* ---- replication ---- */

static void a_primary_tells_how_far_its_replicas_are(void **state) {
    (void)state;
    char lag[128], seconds[128];
    struct server *replica = server_launch(&(struct server_plan){ .tcp = true });
    struct client *r = server_connect(replica);
    assert_string_equal(client_ask(r, "REPLICAOF 127.0.0.1 %d", server_port(server)), "+OK");
    assert_reply_soon(r, "INFO replication", "...master_link_status:up...");
    assert_reply(client, "SET x 1", "+OK");
    assert_reply(client, "WAIT 1 0", ":1");
    struct exposition e = scrape();
    snprintf(lag, sizeof lag, "trivet_replication_lag_bytes{replica=\"127.0.0.1:%d\"}", server_port(replica));
    snprintf(seconds, sizeof seconds, "trivet_replication_lag_seconds{replica=\"127.0.0.1:%d\"}",
             server_port(replica));
    assert_true(exposition_value(&e, lag) < 1000);
    assert_true(exposition_value(&e, seconds) < 60);
    assert_series(&e, "trivet_connected_slaves", 1);
    assert_null(exposition_find(&e, "trivet_primary_link_up"));
    exposition_release(&e);
    client_close(r);
    server_free(replica);
}

static void a_replica_tells_of_its_link(void **state) {
    (void)state;
    int kept = metrics_port;
    struct server *replica = METRICS_SERVER();
    struct client *r = server_connect(replica);
    assert_string_equal(client_ask(r, "REPLICAOF 127.0.0.1 %d", server_port(server)), "+OK");
    assert_reply_soon(r, "INFO replication", "...master_link_status:up...");
    struct exposition e = scrape();
    assert_series(&e, "trivet_primary_link_up", 1);
    exposition_release(&e);
    client_close(r);
    server_free(replica);
    metrics_port = kept;
}

/* ---- HTTP ---- */

static void paths_are_few(void **state) {
    (void)state;
    assert_get("/health/live", "", 200, "live\n");
    assert_get("/health/ready", "", 200, "ready\n");
    assert_get("/health/ready?replica=1", "", 200, "ready\n");
    assert_get("/", "", 200, "<!doctype html>...</html>\n");
    assert_get("/?x", "", 200, "<!doctype html>...");
    static const char *const others[] = { "/metrics/",  "/health", "/favicon.ico",
                                          "/%6detrics", "//",      "/../etc" };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_get(others[i], "", 404, "Not found. There are /, /metrics, /health/live and /health/ready.\n");
}

static void the_page_may_load_nothing_from_elsewhere(void **state) {
    (void)state;
    struct http_reply r = http_get(metrics_port, "/", "");
    const char *policy = http_field(&r, "Content-Security-Policy");
    assert_non_null(policy);
    assert_non_null(strstr(policy,
                           "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                           "connect-src 'self'"));
    assert_string_equal(http_field(&r, "Content-Type"), "text/html; charset=utf-8");
    assert_string_equal(http_field(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(http_field(&r, "Cache-Control"), "no-store");
    assert_non_null(http_field(&r, "Date"));
    http_release(&r);
}

static void what_is_no_request_is_refused_with_a_line(void **state) {
    (void)state;
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        { "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 405 },
        { "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 413 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/3.0\r\n\r\n", 505 },
        { "*1\r\n$4\r\nPING\r\n\r\n", 400 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_reply r;
        int fd = http_must_connect(metrics_port);
        assert_true(http_send(fd, rows[i].request));
        http_read(fd, false, &r);
        if (r.status != rows[i].status) fail_msg("%s: %d", rows[i].request, r.status);
        assert_true(r.body.len > 5 && r.body.ptr[r.body.len - 1] == '\n');
        assert_string_equal(http_field(&r, "Connection"), "close");
        if (r.status == 405) assert_string_equal(http_field(&r, "Allow"), "GET, HEAD");
        assert_true(http_ends(fd));
        http_release(&r);
        close(fd);
    }
}

static void a_connection_serves_many_requests(void **state) {
    (void)state;
    static const char two[] =
        "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nHEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = http_must_connect(metrics_port);
    struct http_reply r;
    for (int i = 0; i < 20; i++) {
        assert_true(http_send(fd, two));
        http_read(fd, false, &r);
        assert_string_equal(text_str(&r.body), "live\n");
        assert_string_equal(http_field(&r, "Connection"), "keep-alive");
        http_release(&r);
        http_read(fd, true, &r);
        assert_int_equal(r.status, 200);
        assert_true(atol(http_field(&r, "Content-Length")) > 10000);
        http_release(&r);
    }
    assert_true(http_send(fd, "GET /health/live HTTP/1.0\r\n\r\n"));
    http_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    http_release(&r);
    assert_true(http_ends(fd));
    close(fd);
}

#define SCRAPERS 50

static size_t log_count(const char *needle) {
    size_t count = 0;
    for (const char *at = server_log(server); (at = strstr(at, needle)) != NULL; at++) count++;
    return count;
}

/* All ask before the first is read: one sample serves those who wait. */
static void fifty_scrapers_at_once_are_served_together(void **state) {
    (void)state;
    int fds[SCRAPERS];
    size_t before = log_count("Metrics: ");
    for (int i = 0; i < SCRAPERS; i++) fds[i] = http_must_connect(metrics_port);
    for (int i = 0; i < SCRAPERS; i++)
        assert_true(http_send(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < SCRAPERS; i++) {
        struct http_reply r;
        struct exposition e;
        http_read(fds[i], false, &r);
        assert_int_equal(r.status, 200);
        exposition_read(text_str(&r.body), &e);
        assert_true(e.count > 200);
        exposition_release(&e);
        http_release(&r);
        close(fds[i]);
    }
    size_t samples = log_count("Metrics: ") - before;
    assert_true(samples >= 1 && samples < SCRAPERS / 2);
}

/* ---- beside commands ---- */

struct load {
    atomic_bool over;
    struct client *client;
};

static void *send_load(void *arg) {
    struct load *l = arg;
    while (!atomic_load(&l->over)) {
        for (int i = 0; i < 200; i++) client_queue(l->client, "SET load:%d %d", i, i);
        client_skip(l->client, 200);
    }
    return NULL;
}

static void scrapes_are_whole_while_clients_write(void **state) {
    (void)state;
    struct load loads[3] = { 0 };
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        loads[i].client = server_connect(server);
        assert_int_equal(pthread_create(&threads[i], NULL, send_load, &loads[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct exposition e = scrape();
        exposition_release(&e);
    }
    for (size_t i = 0; i < COUNT_OF(loads); i++) atomic_store(&loads[i].over, true);
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        pthread_join(threads[i], NULL);
        client_close(loads[i].client);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_line_has_the_form_of_prometheus),
        TEST(what_is_always_nothing_is_left_out),
        TEST(numbers_are_those_of_info),
        TEST(parts_of_memory_add_up),
        TEST(one_series_says_what_the_server_is),
        TEST(counters_never_fall_between_scrapes),
        TEST(a_primary_tells_how_far_its_replicas_are),
        TEST(a_replica_tells_of_its_link),
        TEST(paths_are_few),
        TEST(the_page_may_load_nothing_from_elsewhere),
        TEST(what_is_no_request_is_refused_with_a_line),
        TEST(a_connection_serves_many_requests),
        TEST(fifty_scrapers_at_once_are_served_together),
        TEST(scrapes_are_whole_while_clients_write),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
