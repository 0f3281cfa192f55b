/* test_health.c: `trivet-server health` beside servers that are well, and beside all that can be wrong with
 * one. */
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "../harness/folder.h"
#include "../harness/tls.h"
#include "program.h"
#include "tools.h"
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define ARGUMENTS_MAX 20
#define LONG "--timeout", "60000" /* for what must not depend on the speed of this machine */

static char program[PATH_MAX];

/* Words that stand for the port and the socket of the server that is asked. */
#define PORT "@port"
#define TLS_PORT "@tls-port"
#define SOCKET "@socket"

static struct said ask(struct server *s, const char *const *args) {
    static char port[16], tls_port[16];
    const char *argv[ARGUMENTS_MAX + 3] = { "trivet-server", "health" };
    for (size_t i = 0; i < ARGUMENTS_MAX && args[i]; i++) {
        argv[i + 2] = args[i];
        if (strcmp(args[i], PORT) == 0) argv[i + 2] = port;
        if (strcmp(args[i], TLS_PORT) == 0) argv[i + 2] = tls_port;
        if (strcmp(args[i], SOCKET) == 0) argv[i + 2] = server_path(s, "socket");
    }
    if (s) snprintf(port, sizeof port, "%d", server_port(s));
    if (s) snprintf(tls_port, sizeof tls_port, "%d", server_tls_port(s));
    return program_run(program, NULL, argv);
}

static void check(struct server *s, const char *const *args, int status, const char *out, const char *err,
                  int line) {
    struct said said = ask(s, args);
    const char *got_out = text_str(&said.out), *got_err = text_str(&said.err);
    if (said.status != status || !text_matches(out, got_out) || !text_matches(err, got_err))
        fail_msg("line %d: expected %d, '%s' and '%s', got %d, '%s' and '%s'", line, status, out, err,
                 said.status, got_out, got_err);
    said_release(&said);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define assert_ready(s, ...) check((s), LIST(LONG, __VA_ARGS__), 0, "ready\n", "", __LINE__)
#define assert_live(s, ...) check((s), LIST(LONG, "--live", __VA_ARGS__), 0, "live\n", "", __LINE__)
#define assert_unready(s, why, ...) \
    check((s), LIST(LONG, __VA_ARGS__), 1, "", "not ready: " why "\n", __LINE__)
#define assert_dead(s, why, ...) \
    check((s), LIST(LONG, "--live", __VA_ARGS__), 1, "", "not live: " why "\n", __LINE__)

/* ---- servers that are well ---- */

static void a_server_that_serves_is_ready_over_every_way_to_it(void **state) {
    (void)state;
    static const char *const programs[] = { NULL, "redis-server" };
    for (size_t i = 0; i < 2; i++) {
        struct server *s = server_launch(&(struct server_plan){
            .program = programs[i], .tcp = true, .bare = true, .args = LIST("--save", "") });
        assert_ready(s, "--port", PORT);
        assert_ready(s, "--ready", "--host", "localhost", "--port", PORT);
        assert_ready(s, "--replica", "--socket", SOCKET);
        assert_live(s, "--port", PORT);
        assert_live(s, "--socket", SOCKET);
        server_free(s);
    }
}

static void a_name_with_several_addresses_is_tried_at_each(void **state) {
    (void)state;
    struct server *s =
        server_launch(&(struct server_plan){ .tcp = true, .args = LIST("--bind", "127.0.0.1") });
    assert_ready(s, "--host", "localhost", "--port", PORT); /* ::1 may come first, where nobody listens */
    server_free(s);
}

/* ---- nobody there, or somebody else ---- */

static int listen_on_loopback(int *port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void where_nobody_listens_it_is_neither_ready_nor_live(void **state) {
    (void)state;
    int free_port;
    char port[16];
    close(listen_on_loopback(&free_port));
    snprintf(port, sizeof port, "%d", free_port);
    assert_unready(NULL, "can't connect: Connection refused", "--port", port);
    assert_dead(NULL, "can't connect: Connection refused", "--host", "::1", "--port", port);
    assert_unready(NULL, "can't connect: No such file or directory", "--socket", "/nonexistent/socket");
    assert_unready(NULL, "can't look up no.such.host.invalid: ...", "--host", "no.such.host.invalid");
    char path[200] = "/";
    memset(path + 1, 'x', sizeof path - 2);
    path[sizeof path - 1] = '\0';
    assert_unready(NULL, "can't connect: the path has more than 107 bytes", "--socket", path);
}

/* Answers one connection and closes it, after `hold_ms`. */
struct stranger {
    pthread_t thread;
    int fd;
    char port[16];
    const char *answer;
};

static void *be_strange(void *arg) {
    struct stranger *s = arg;
    char input[4096];
    int fd = accept(s->fd, NULL, NULL);
    if (fd < 0 || read(fd, input, sizeof input) <= 0) return s;
    size_t len = strlen(s->answer);
    bool written = write(fd, s->answer, len) == (ssize_t)len;
    shutdown(fd, SHUT_WR);
    while (read(fd, input, sizeof input) > 0) continue; /* so that no reset overtakes the answer */
    close(fd);
    return written ? NULL : s;
}

static void begin_stranger(struct stranger *s, const char *answer) {
    int port;
    s->fd = listen_on_loopback(&port);
    s->answer = answer;
    snprintf(s->port, sizeof s->port, "%d", port);
    assert_int_equal(pthread_create(&s->thread, NULL, be_strange, s), 0);
}

static void end_stranger(struct stranger *s) {
    void *failed;
    assert_int_equal(pthread_join(s->thread, &failed), 0);
    assert_null(failed);
    close(s->fd);
}

static void what_is_no_such_server_is_not_healthy(void **state) {
    (void)state;
    static const struct {
        const char *answer, *why;
    } rows[] = {
        { "HTTP/1.1 400 Bad Request\r\n\r\n", "what answers is no server of this protocol" },
        { "", "the server closed the connection" },
        { "$100\r\nhalf", "the server closed the connection" },
        { "+OK\r\n", "PING was answered by something else than PONG" },
        { "*1\r\n+PONG\r\n", "PING was answered by something else than PONG" },
        { "-DENIED protected mode\r\n", "DENIED protected mode" },
        { "-LOADING\r\n", "loading the data" },
        { "-LOADINGS\r\n", "LOADINGS" },
        { "+PONG\r\n:1\r\n", "INFO was answered by something else than text" },
        { "+PONG\r\n-ERR no INFO\r\n", "ERR no INFO" },
        { "+PONG\r\n$11\r\nloading:1\r\n\r\n", "loading the data" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct stranger s;
        char expected[128];
        begin_stranger(&s, rows[i].answer);
        snprintf(expected, sizeof expected, "not ready: %s\n", rows[i].why);
        check(NULL, LIST(LONG, "--port", s.port), 1, "", expected, __LINE__);
        end_stranger(&s);
    }
    struct stranger s;
    begin_stranger(&s, "220 mail.example\r\n");
    assert_dead(NULL, "what answers is no server of this protocol", "--port", s.port);
    end_stranger(&s);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void a_server_that_hangs_is_given_up_at_the_deadline(void **state) {
    (void)state;
    tls_make_usual();
    struct server *s = server_launch(
        &(struct server_plan){ .tcp = true,
                               .tls = true,
                               .args = LIST("--tls-cert-file", tls_path("server.crt"), "--tls-key-file",
                                            tls_path("server.key"), "--tls-auth-clients", "no") });
    kill(server_pid(s), SIGSTOP);
    const char *const *const rows[] = { LIST("--timeout", "200", "--port", PORT),
                                        LIST("--timeout", "200", "--live", "--socket", SOCKET),
                                        LIST("--timeout", "200", "--tls", "--insecure", "--port", TLS_PORT) };
    for (size_t i = 0; i < 3; i++) {
        int64_t begin_ms = now_ms();
        check(s, rows[i], 1, "",
              i == 1 ? "not live: no answer within 200 ms\n" : "not ready: no answer within 200 ms\n",
              __LINE__);
        assert_true(now_ms() - begin_ms >= 200);
    }
    kill(server_pid(s), SIGCONT);
    assert_ready(s, "--port", PORT);
    server_free(s);
}

/* Each byte comes in time, the whole never does. */
static void *drip(void *arg) {
    struct stranger *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    bool sent = fd >= 0 && send(fd, "+", 1, MSG_NOSIGNAL) == 1;
    while (sent && send(fd, "x", 1, MSG_NOSIGNAL) == 1) poll(NULL, 0, 5);
    if (fd >= 0) close(fd);
    return NULL;
}

static void an_answer_that_comes_in_drops_has_the_same_deadline(void **state) {
    (void)state;
    struct stranger s;
    int port;
    s.fd = listen_on_loopback(&port);
    snprintf(s.port, sizeof s.port, "%d", port);
    assert_int_equal(pthread_create(&s.thread, NULL, drip, &s), 0);
    int64_t begin_ms = now_ms();
    check(NULL, LIST("--timeout", "300", "--port", s.port), 1, "", "not ready: no answer within 300 ms\n",
          __LINE__);
    assert_in_range(now_ms() - begin_ms, 300, 30000);
    end_stranger(&s);
}

/* ---- servers that are not ready ---- */

#define LOADING_KEYS 1000

static void a_server_that_loads_is_live_and_not_ready(void **state) {
    (void)state;
    struct server *s = server_start("--loglevel", "notice", NULL);
    struct client *c = server_connect(s);
    for (int i = 0; i < LOADING_KEYS; i++) client_queue(c, "SET k:%d v", i);
    client_skip(c, LOADING_KEYS);
    assert_reply(c, "SAVE", "+OK");
    client_close(c);
    server_kill(s);
    const char *const args[] = { "--dir", server_folder(s), "--key-load-delay", "10000", NULL };
    struct server *slow = server_launch_unready(&(struct server_plan){ .tcp = true, .args = args });
    server_await_log(slow, "Server initialized", 1);
    assert_unready(slow, "loading the data", "--port", PORT);
    assert_live(slow, "--port", PORT);
    assert_unready(slow, "loading the data", "--replica", "--socket", SOCKET);
    c = server_connect(slow);
    assert_reply(c, "CONFIG SET key-load-delay 0", "+OK");
    assert_reply_soon(c, "PING", "+PONG");
    assert_ready(slow, "--port", PORT);
    client_close(c);
    server_free(slow);
    server_free(s);
}

static void a_disk_that_fails_makes_it_unready_until_it_heals(void **state) {
    (void)state;
    char data[FOLDER_PATH];
    folder_make(data, "health");
    disk_watch(data, "");
    struct server *s = server_start("--dir", data, "--appendonly", "yes", NULL);
    struct client *writer = server_connect(s), *c = server_connect(s);
    unsetenv("LD_PRELOAD"); /* the health check is another program */
    assert_ready(s, "--socket", SOCKET);
    disk_fail(DISK_WRITE, ".incr.aof", ENOSPC);
    client_send(writer, "SET held 1");
    assert_reply_soon(c, "PING", "-MISCONF ...");
    assert_unready(s, "writes are refused: MISCONF Errors writing to the AOF file: No space left on device",
                   "--socket", SOCKET);
    assert_live(s, "--socket", SOCKET);
    disk_heal();
    assert_next(writer, "+OK");
    assert_reply_soon(c, "PING", "+PONG");
    assert_ready(s, "--socket", SOCKET);
    client_close(writer);
    client_close(c);
    server_free(s);
    disk_release();
    folder_remove(data);
}

/* Only as far as it stops writes: stop-writes-on-bgsave-error. */
static void a_snapshot_that_failed_makes_it_unready_if_it_stops_writes(void **state) {
    (void)state;
    struct server *s = server_start("--save", "3600 1", "--dbfilename", "dump.rdb", NULL);
    struct client *c = server_connect(s);
    char command[128];
    snprintf(command, sizeof command, "mkdir -p '%s/dump.rdb/in-the-way'", server_folder(s));
    assert_int_equal(system(command), 0);
    assert_reply(c, "SET k v", "+OK");
    assert_reply(c, "BGSAVE", "+Background saving started");
    assert_reply_soon(c, "PING", "-MISCONF ...");
    assert_unready(s, "writes are refused: MISCONF Valkey is configured to save RDB snapshots...", "--socket",
                   SOCKET);
    assert_reply(c, "CONFIG SET stop-writes-on-bgsave-error no", "+OK");
    assert_ready(s, "--socket", SOCKET);
    assert_reply(c, "CONFIG SET save \"\"", "+OK");
    client_close(c);
    server_free(s);
}

static void a_script_that_does_not_end_makes_it_unready(void **state) {
    (void)state;
    struct server *s = server_start("--busy-reply-threshold", "10", NULL);
    struct client *runner = server_connect(s), *c = server_connect(s);
    client_send(runner, "EVAL \"while true do end\" 0");
    assert_reply_soon(c, "PING", "-BUSY ...");
    assert_unready(s, "a script or function is running for longer than busy-reply-threshold", "--socket",
                   SOCKET);
    assert_live(s, "--socket", SOCKET);
    assert_reply(c, "SCRIPT KILL", "+OK");
    assert_next(runner, "-ERR ...");
    assert_ready(s, "--socket", SOCKET);
    client_close(runner);
    client_close(c);
    server_free(s);
}

static void a_server_without_room_for_clients_is_live_and_not_ready(void **state) {
    (void)state;
    struct server *s = server_start("--maxclients", "2", NULL);
    struct client *a = server_connect(s), *b = server_connect(s);
    assert_reply(a, "PING", "+PONG");
    assert_reply_soon(b, "PING", "+PONG");
    assert_unready(s, "ERR max number of clients reached", "--socket", SOCKET);
    assert_live(s, "--socket", SOCKET);
    client_close(a);
    client_close(b);
    server_free(s);
}

/* ---- replicas ---- */

static void a_replica_may_be_asked_for_its_link(void **state) {
    (void)state;
    int nobody;
    close(listen_on_loopback(&nobody));
    struct server *primary =
        server_launch(&(struct server_plan){ .tcp = true, .args = LIST("--repl-diskless-sync-delay", "0") });
    struct server *replica = server_start("--loglevel", "notice", NULL);
    struct client *c = server_connect(replica);
    assert_string_equal(client_ask(c, "REPLICAOF 127.0.0.1 %d", server_port(primary)), "+OK");
    while (strcmp(info_field(c, "replication", "master_link_status"), "up") != 0) poll(NULL, 0, 5);
    assert_ready(primary, "--replica", "--port", PORT);
    assert_ready(replica, "--replica", "--socket", SOCKET);
    assert_string_equal(client_ask(c, "REPLICAOF 127.0.0.1 %d", nobody), "+OK");
    assert_unready(replica, "the link to the primary is down", "--replica", "--socket", SOCKET);
    assert_ready(replica, "--socket", SOCKET); /* it serves what it has */
    assert_reply(c, "CONFIG SET replica-serve-stale-data no", "+OK");
    assert_unready(replica, "the link to the primary is down, and replica-serve-stale-data is no", "--socket",
                   SOCKET);
    assert_live(replica, "--socket", SOCKET);
    client_close(c);
    server_free(replica);
    server_free(primary);
}

/* ---- users and passwords ---- */

static char secret_path[] = "/tmp/trivet-secret-XXXXXX";

static void write_secret(const char *contents) {
    FILE *f = fopen(secret_path, "w");
    assert_non_null(f);
    assert_true(fputs(contents, f) >= 0 && fclose(f) == 0);
}

static void the_password_comes_from_a_file_or_the_environment(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "open sesame", NULL);
    assert_unready(s, "a password is needed: give --password-file, or $REDISCLI_AUTH", "--socket", SOCKET);
    assert_live(s, "--socket", SOCKET);
    static const char *const names[] = { "REDISCLI_AUTH", "VALKEYCLI_AUTH", "TRIVET_PASSWORD",
                                         "REDIS_PASSWORD", "VALKEY_PASSWORD" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        setenv(names[i], "open sesame", 1);
        assert_ready(s, "--socket", SOCKET);
        setenv(names[i], "wrong", 1);
        assert_unready(s, "the password is wrong, or there is no such user", "--socket", SOCKET);
        assert_live(s, "--socket", SOCKET);
        setenv(names[i], "", 1); /* as if it were not there */
        assert_unready(s, "a password is needed...", "--socket", SOCKET);
        unsetenv(names[i]);
    }
    static const char *const files[] = { "TRIVET_PASSWORD_FILE", "REDIS_PASSWORD_FILE",
                                         "VALKEY_PASSWORD_FILE" };
    static const char *const contents[] = { "open sesame", "open sesame\n", "open sesame\r\nsecond line\n" };
    for (size_t i = 0; i < 3; i++) {
        write_secret(contents[i]);
        setenv(files[i], secret_path, 1);
        assert_ready(s, "--socket", SOCKET);
        unsetenv(files[i]);
        assert_ready(s, "--socket", SOCKET, "--password-file", secret_path);
    }
    setenv("REDISCLI_AUTH", "wrong", 1); /* the option wins */
    assert_ready(s, "--socket", SOCKET, "--password-file", secret_path);
    unsetenv("REDISCLI_AUTH");
    server_free(s);
}

static void a_password_for_a_server_without_one_is_no_fault(void **state) {
    (void)state;
    static const char *const programs[] = { NULL, "redis-server" };
    setenv("REDISCLI_AUTH", "needless", 1);
    for (size_t i = 0; i < 2; i++) {
        struct server *s = server_launch(
            &(struct server_plan){ .program = programs[i], .bare = true, .args = LIST("--save", "") });
        assert_ready(s, "--socket", SOCKET);
        assert_unready(s, "the password is wrong, or there is no such user", "--socket", SOCKET, "--user",
                       "nobody");
        server_free(s);
    }
    unsetenv("REDISCLI_AUTH");
}

static void a_user_with_few_permissions_is_told_what_is_missing(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "x", NULL);
    struct client *c = server_connect(s);
    static const struct exchange rows[] = {
        { "AUTH x", "+OK" },
        { "ACL SETUSER probe on >secret +ping +info", "+OK" },
        { "ACL SETUSER pinger on >secret +ping", "+OK" },
        { "ACL SETUSER nothing on >secret", "+OK" },
        { "ACL SETUSER open on nopass +ping +info", "+OK" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    write_secret("secret\n");
#define AS(name) "--socket", SOCKET, "--password-file", secret_path, "--user", name
    assert_ready(s, AS("probe"));
    assert_ready(s, "--replica", AS("probe"));
    check(s, LIST(LONG, AS("pinger")), 0, "ready, says PING; user 'pinger' may not run INFO: give it +info\n",
          "", __LINE__);
    assert_unready(s, "user 'pinger' may not run INFO: give it +info", "--replica", AS("pinger"));
    assert_unready(s, "user 'nothing' may not run PING: give it +ping", AS("nothing"));
    assert_live(s, AS("nothing"));
    assert_ready(s, "--socket", SOCKET, "--user", "open");
    client_close(c);
    server_free(s);
}

static void a_password_file_that_has_none_is_a_wrong_question(void **state) {
    (void)state;
    write_secret("\nsecond line\n");
    check(NULL, LIST("--password-file", secret_path), 2, "",
          "trivet-server health: the first line of the password file ... is empty\n", __LINE__);
    check(
        NULL, LIST("--password-file", "/nonexistent/secret"), 2, "",
        "trivet-server health: can't read the password file /nonexistent/secret: No such file or directory\n",
        __LINE__);
}

/* ---- TLS ---- */

static struct server *launch_tls(const char *auth_clients) {
    tls_make_usual();
    return server_launch(&(struct server_plan){
        .tls = true,
        .args = LIST("--tls-cert-file", tls_path("server.crt"), "--tls-key-file", tls_path("server.key"),
                     "--tls-ca-cert-file", tls_path("ca.crt"), "--tls-auth-clients", auth_clients) });
}

static void a_server_behind_tls_is_asked_as_its_rules_demand(void **state) {
    (void)state;
    struct server *s = launch_tls("yes");
#define TLS_ARGS "--port", TLS_PORT, "--tls"
#define OURS "--cert", tls_path("client.crt"), "--key", tls_path("client.key")
    assert_ready(s, TLS_ARGS, "--cacert", tls_path("ca.crt"), OURS);
    assert_ready(s, TLS_ARGS, "--insecure", OURS);
    assert_live(s, TLS_ARGS, "--cacert", tls_path("ca.crt"), OURS);
    assert_unready(s, "the connection broke: ...certificate required...", TLS_ARGS, "--cacert",
                   tls_path("ca.crt"));
    assert_unready(s, "TLS handshake with 127.0.0.1 failed: ...certificate verify failed...", TLS_ARGS, OURS);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET tls-auth-clients no", "+OK");
    assert_ready(s, TLS_ARGS, "--cacert", tls_path("ca.crt"));
    assert_ready(s, TLS_ARGS, "--insecure");
    client_close(c);
    server_free(s);
}

static void tls_where_there_is_none_fails_and_the_other_way_round(void **state) {
    (void)state;
    struct server *s = launch_tls("no");
    check(s, LIST("--timeout", "500", "--port", TLS_PORT), 1, "", "not ready: ...\n", __LINE__);
    server_free(s);
    s = server_launch(&(struct server_plan){ .tcp = true });
    assert_unready(s, "TLS handshake with 127.0.0.1 failed: ...", "--port", PORT, "--tls", "--insecure");
    server_free(s);
}

static void files_of_tls_that_are_none_are_a_wrong_question(void **state) {
    (void)state;
    tls_make_usual();
    check(NULL, LIST("--tls", "--cacert", "/nonexistent.crt"), 2, "",
          "trivet-server health: Failed to ...: /nonexistent.crt...\n", __LINE__);
    check(NULL,
          LIST("--tls", "--insecure", "--cert", tls_path("client.crt"), "--key", tls_path("server.key")), 2,
          "", "trivet-server health: Failed to load private key: ...key values mismatch...\n", __LINE__);
}

/* The name that a client asks for in its handshake. */
struct listener_for_names {
    pthread_t thread;
    int fd;
    char name[64];
};

static void *take_name(void *arg) {
    struct listener_for_names *l = arg;
    SSL_CTX *rules = SSL_CTX_new(TLS_server_method());
    bool ready = SSL_CTX_use_certificate_file(rules, tls_path("server.crt"), SSL_FILETYPE_PEM) > 0 &&
                 SSL_CTX_use_PrivateKey_file(rules, tls_path("server.key"), SSL_FILETYPE_PEM) > 0;
    int fd = accept(l->fd, NULL, NULL);
    SSL *ssl = SSL_new(rules);
    if (ready && SSL_set_fd(ssl, fd) && SSL_accept(ssl) > 0) {
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(l->name, sizeof l->name, "%s", name ? name : "(none)");
    }
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(rules);
    return NULL;
}

static void the_name_in_the_handshake_is_the_host_or_the_one_given(void **state) {
    (void)state;
    static const struct {
        const char *host, *sni, *name;
    } rows[] = { { "localhost", NULL, "localhost" },
                 { "127.0.0.1", NULL, "(none)" },
                 { "127.0.0.1", "cache.example", "cache.example" } };
    tls_make_usual();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct listener_for_names l = { .name = "" };
        int number;
        char port[16];
        l.fd = listen_on_loopback(&number);
        snprintf(port, sizeof port, "%d", number);
        assert_int_equal(pthread_create(&l.thread, NULL, take_name, &l), 0);
        const char *args[] = { LONG,     "--tls",      "--insecure", "--port", port,
                               "--host", rows[i].host, NULL,         NULL,     NULL };
        if (rows[i].sni) args[8] = "--sni", args[9] = rows[i].sni;
        const char *ended[11];
        memcpy(ended, args, sizeof args);
        ended[rows[i].sni ? 10 : 8] = NULL;
        check(NULL, ended, 1, "", "not ready: the ...connection...\n", __LINE__);
        pthread_join(l.thread, NULL);
        close(l.fd);
        assert_string_equal(l.name, rows[i].name);
    }
}

/* ---- questions that make no sense ---- */

static void wrong_options_are_refused_with_the_reason(void **state) {
    (void)state;
    static const struct {
        const char *args[ARGUMENTS_MAX], *why;
    } rows[] = {
        { { "--no-such" }, "there is no option '--no-such'; --help tells which there are" },
        { { "7000" }, "there is no option '7000'; --help tells which there are" },
        { { "--port" }, "--port needs a value" },
        { { "--port", "" }, "--port needs a value" },
        { { "--port", "abc" }, "--port must be a number from 1 to 65535, and is 'abc'" },
        { { "--port", "0" }, "--port must be a number from 1 to 65535, and is '0'" },
        { { "--port", "65536" }, "--port must be a number from 1 to 65535, and is '65536'" },
        { { "--timeout", "0" }, "--timeout must be a number from 1 to 2147483647, and is '0'" },
        { { "--timeout", "1s" }, "--timeout must be a number from 1 to 2147483647, and is '1s'" },
        { { "--socket", "/s", "--port", "1" }, "--socket goes without --host and --port" },
        { { "--host", "h", "--socket", "/s" }, "--socket goes without --host and --port" },
        { { "--socket", "/s", "--tls" }, "--socket goes without --tls" },
        { { "--cacert", "f" }, "--cacert needs --tls" },
        { { "--cert", "f" }, "--cert needs --tls" },
        { { "--key", "f" }, "--key needs --tls" },
        { { "--sni", "f" }, "--sni needs --tls" },
        { { "--insecure" }, "--insecure needs --tls" },
        { { "--tls", "--cert", "f" }, "--cert needs --key" },
        { { "--tls", "--key", "f" }, "--key needs --cert" },
        { { "--tls", "--insecure", "--cacert", "f" }, "--insecure goes without --cacert" },
        { { "--live", "--ready" }, "--live and --ready are two questions: choose one" },
        { { "--live", "--replica" }, "--replica goes with --ready only" },
        { { "-a", "secret" }, "a password on the command line is seen by all users of the machine: use ..." },
        { { "--password", "secret" },
          "a password on the command line is seen by all users of the machine: use ..." },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char expected[160];
        snprintf(expected, sizeof expected, "trivet-server health: %s\n", rows[i].why);
        check(NULL, rows[i].args, 2, "", expected, __LINE__);
    }
}

static void every_option_is_explained(void **state) {
    (void)state;
    static const char *const options[] = {
        "--host HOST",   "--port PORT", "--socket PATH", "--user USER", "--password-file PATH", "--tls ",
        "--cacert FILE", "--cert FILE", "--key FILE",    "--insecure",  "--sni NAME",           "--ready",
        "--live",        "--replica",   "--timeout MS",  "--help",      "$REDISCLI_AUTH"
    };
    struct said s = ask(NULL, LIST("--help", "--port", "1"));
    assert_int_equal(s.status, 0);
    for (size_t i = 0; i < COUNT_OF(options); i++) assert_non_null(strstr(text_str(&s.out), options[i]));
    assert_string_equal(text_str(&s.err), "");
    said_release(&s);
}

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    tool_find(program, "trivet-server");
    int fd = mkstemp(secret_path);
    if (fd < 0) return -1;
    static const char *const names[] = { "REDISCLI_AUTH",        "VALKEYCLI_AUTH",      "TRIVET_PASSWORD",
                                         "TRIVET_PASSWORD_FILE", "REDIS_PASSWORD",      "REDIS_PASSWORD_FILE",
                                         "VALKEY_PASSWORD",      "VALKEY_PASSWORD_FILE" };
    for (size_t i = 0; i < COUNT_OF(names); i++) unsetenv(names[i]);
    return close(fd);
}

static int tear_down(void **state) {
    (void)state;
    return unlink(secret_path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_serves_is_ready_over_every_way_to_it),
        cmocka_unit_test(a_name_with_several_addresses_is_tried_at_each),
        cmocka_unit_test(where_nobody_listens_it_is_neither_ready_nor_live),
        cmocka_unit_test(what_is_no_such_server_is_not_healthy),
        cmocka_unit_test(a_server_that_hangs_is_given_up_at_the_deadline),
        cmocka_unit_test(an_answer_that_comes_in_drops_has_the_same_deadline),
        cmocka_unit_test(a_server_that_loads_is_live_and_not_ready),
        cmocka_unit_test(a_disk_that_fails_makes_it_unready_until_it_heals),
        cmocka_unit_test(a_snapshot_that_failed_makes_it_unready_if_it_stops_writes),
        cmocka_unit_test(a_script_that_does_not_end_makes_it_unready),
        cmocka_unit_test(a_server_without_room_for_clients_is_live_and_not_ready),
        cmocka_unit_test(a_replica_may_be_asked_for_its_link),
        cmocka_unit_test(the_password_comes_from_a_file_or_the_environment),
        cmocka_unit_test(a_password_for_a_server_without_one_is_no_fault),
        cmocka_unit_test(a_user_with_few_permissions_is_told_what_is_missing),
        cmocka_unit_test(a_password_file_that_has_none_is_a_wrong_question),
        cmocka_unit_test(a_server_behind_tls_is_asked_as_its_rules_demand),
        cmocka_unit_test(tls_where_there_is_none_fails_and_the_other_way_round),
        cmocka_unit_test(files_of_tls_that_are_none_are_a_wrong_question),
        cmocka_unit_test(the_name_in_the_handshake_is_the_host_or_the_one_given),
        cmocka_unit_test(wrong_options_are_refused_with_the_reason),
        cmocka_unit_test(every_option_is_explained),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
