/* test_network.c: listeners, who may come in, and the limits that a connection lives under. */
#include "../harness/fixture.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOAUTH "-NOAUTH Authentication required."
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled."
#define FULL "-ERR max number of clients reached"

#define LAUNCH(...) \
    server_launch(&(struct server_plan){ .tcp = true, .args = (const char *const[]){ __VA_ARGS__, NULL } })

static struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }

static bool answers(const char *host, int port) {
    struct client *c = client_open_tcp(host, port);
    if (!c) return false;
    bool up = strcmp(client_ask(c, "PING"), "+PONG") == 0;
    client_close(c);
    return up;
}

/* A listener that was taken away goes a moment after the answer. */
static void assert_refused_soon(const char *host, int port) {
    for (int tries = 0; tries < 10000; tries++) {
        struct client *c = client_open_tcp(host, port);
        if (!c) return;
        client_close(c);
    }
    fail_msg("%s:%d still accepts", host, port);
}

static bool has_ipv6(void) {
    struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0) close(fd);
    return has;
}

/* A listening socket of our own on 127.0.0.1: an occupied port. */
static int occupy(int *port) {
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* ---- listeners ---- */

static void it_listens_on_every_address_of_bind_and_on_no_other(void **state) {
    (void)state;
    struct server *s = LAUNCH("--bind", "127.0.0.1", "127.0.0.2", "-::1", "-203.0.113.9");
    assert_true(answers("127.0.0.1", server_port(s)));
    assert_true(answers("127.0.0.2", server_port(s)));
    assert_int_equal(answers("::1", server_port(s)), has_ipv6());
    assert_null(client_open_tcp("127.0.0.3", server_port(s)));
    struct client *c = server_connect_tcp(s);
    char expected[128];
    snprintf(expected, sizeof expected, "*[$\"bind\", $\"127.0.0.1 127.0.0.2 -::1 -203.0.113.9\"]");
    assert_reply(c, "CONFIG GET bind", expected);
    snprintf(expected, sizeof expected,
             "name=tcp,bind=127.0.0.1,bind=127.0.0.2,bind=-::1,bind=-203.0.113.9,port=%d", server_port(s));
    assert_string_equal(info_field(c, "server", "listener0"), expected);
    snprintf(expected, sizeof expected, "$\"... laddr=127.0.0.1:%d ...", server_port(s));
    assert_reply(c, "CLIENT INFO", expected);
    client_close(c);
    server_free(s);
}

static void it_refuses_to_start_where_it_cannot_listen(void **state) {
    (void)state;
    int port;
    int taken = occupy(&port);
    char number[8];
    snprintf(number, sizeof number, "%d", port);
    const struct {
        const char *args[5], *log;
    } rows[] = {
        { { "--port", number, "--bind", "127.0.0.1", NULL }, "Address already in use" },
        { { "--port", number, "--bind", "203.0.113.9", NULL },
          "Could not create server TCP listening socket 203.0.113.9" },
        { { "--port", number, "--bind", "no such host", NULL }, "Could not resolve" },
        { { "--unixsocket", "/nonexistent/socket", NULL },
          "Could not open the unix socket /nonexistent/socket" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text log = { 0 };
        assert_int_equal(server_run_to_end(&(struct server_plan){ .args = rows[i].args }, &log), 1);
        if (!strstr(text_str(&log), rows[i].log))
            fail_msg("row %zu: no '%s' in\n%s", i, rows[i].log, text_str(&log));
        text_release(&log);
    }
    close(taken);
}

static void the_unix_socket_has_the_rights_asked_for_and_goes_at_the_end(void **state) {
    (void)state;
    static const struct {
        const char *perm;
        unsigned mode;
    } rows[] = { { "700", 0700 }, { "666", 0666 }, { "777", 0777 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server *s = server_start("--unixsocketperm", rows[i].perm, NULL);
        struct stat st;
        assert_int_equal(stat(server_path(s, "socket"), &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 0777, rows[i].mode);
        server_stop(s);
        assert_int_not_equal(stat(server_path(s, "socket"), &st), 0);
    }
}

static void port_0_means_no_tcp(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "CONFIG GET port", "*[$\"port\", $\"0\"]");
    assert_string_equal(info_field(c, "server", "tcp_port"), "0");
    char expected[256];
    snprintf(expected, sizeof expected, "name=unix,bind=%s", server_path(server_of(state), "socket"));
    assert_string_equal(info_field(c, "server", "listener0"), expected);
}

static void port_and_bind_change_while_it_runs(void **state) {
    (void)state;
    struct server *s = LAUNCH("--bind", "127.0.0.1");
    struct client *c = server_connect_tcp(s);
    int port, taken = occupy(&port);
    char command[64];
    snprintf(command, sizeof command, "CONFIG SET port %d", port);
    assert_reply(c, command, "-ERR CONFIG SET failed (possibly related to argument 'port') - ...");
    assert_true(answers("127.0.0.1", server_port(s)));
    close(taken);
    assert_reply(c, command, "+OK");
    assert_true(answers("127.0.0.1", port));
    assert_refused_soon("127.0.0.1", server_port(s));
    assert_reply(c, "CONFIG SET bind \"127.0.0.2 127.0.0.3\"", "+OK");
    assert_true(answers("127.0.0.2", port));
    assert_true(answers("127.0.0.3", port));
    assert_refused_soon("127.0.0.1", port);
    assert_reply(c, "CONFIG SET bind 203.0.113.9",
                 "-ERR CONFIG SET failed (possibly related to argument 'bind') - ...");
    assert_true(answers("127.0.0.2", port));
    assert_reply(c, "CONFIG SET port 0", "+OK");
    assert_refused_soon("127.0.0.2", port);
    assert_reply(c, "PING", "+PONG"); /* who is in stays in */
    client_close(c);
    server_free(s);
}

/* What is set, and where it then must and must not answer: a host that begins with '!' is refused. */
struct rebind {
    const char *command, *reply, *bind;
    const char *hosts[4];
};

#define BIND_FAILED \
    "-ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses."

static void bind_may_keep_some_of_its_addresses(void **state) {
    (void)state;
    static const struct rebind rows[] = {
        { "CONFIG SET bind 127.0.0.1", "+OK", "127.0.0.1", { "127.0.0.1", "!127.0.0.2" } },
        { "CONFIG SET bind \"127.0.0.1 -::1\"", "+OK", "127.0.0.1 -::1", { "127.0.0.1", "::1" } },
        { "CONFIG SET bind 127.0.0.1", "+OK", "127.0.0.1", { "127.0.0.1", "!::1" } },
        { "CONFIG SET bind \"127.0.0.2 127.0.0.1 127.0.0.2\"", "+OK", "127.0.0.2 127.0.0.1 127.0.0.2",
          { "127.0.0.1", "127.0.0.2" } },
        { "CONFIG SET bind \"* -::*\"", "+OK", "* -::*", { "127.0.0.1", "127.0.0.3", "::1" } },
        { "CONFIG SET bind 127.0.0.2", "+OK", "127.0.0.2", { "127.0.0.2", "!127.0.0.1", "!::1" } },
        { "CONFIG SET bind \"127.0.0.2 203.0.113.9\"", BIND_FAILED, "127.0.0.2",
          { "127.0.0.2", "!127.0.0.1" } },
        { "CONFIG SET bind \"127.0.0.1 *\"", BIND_FAILED, "127.0.0.2", { "127.0.0.2", "!127.0.0.1" } },
        { "CONFIG SET bind \"* 127.0.0.2\"", BIND_FAILED, "127.0.0.2", { "127.0.0.2", "!127.0.0.1" } },
    };
    struct server *s = LAUNCH("--bind", "127.0.0.1");
    struct client *c = server_connect(s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char expected[128];
        assert_reply(c, rows[i].command, rows[i].reply);
        snprintf(expected, sizeof expected, "*[$\"bind\", $\"%s\"]", rows[i].bind);
        assert_reply(c, "CONFIG GET bind", expected);
        for (size_t h = 0; h < 4 && rows[i].hosts[h]; h++) {
            const char *host = rows[i].hosts[h];
            if (host[0] == '!')
                assert_refused_soon(host + 1, server_port(s));
            else if (host[0] != ':' || has_ipv6())
                assert_true(answers(host, server_port(s)));
        }
    }
    client_close(c);
    server_free(s);
}

static void port_and_bind_change_together_or_not_at_all(void **state) {
    (void)state;
    struct server *s = LAUNCH("--bind", "127.0.0.1");
    struct client *c = server_connect(s);
    int old_port = server_port(s), port, taken = occupy(&port);
    char command[128], expected[64];
    snprintf(command, sizeof command, "CONFIG SET port %d bind \"127.0.0.1 127.0.0.2\"", port);
    assert_reply(c, command, "-ERR CONFIG SET failed (possibly related to argument 'port') - ...");
    assert_true(answers("127.0.0.1", old_port));
    assert_null(client_open_tcp("127.0.0.2", port));
    close(taken);
    assert_reply(c, command, "+OK");
    assert_true(answers("127.0.0.1", port) && answers("127.0.0.2", port));
    assert_refused_soon("127.0.0.1", old_port);
    /* A later setting of the same command fails: the sockets go back too. */
    snprintf(command, sizeof command, "CONFIG SET port %d bind 203.0.113.9", old_port);
    assert_reply(c, command, "-ERR CONFIG SET failed ...");
    snprintf(command, sizeof command, "CONFIG SET port %d maxclients 4000000000", old_port);
    assert_reply(c, command, "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - ...");
    assert_true(answers("127.0.0.1", port) && answers("127.0.0.2", port));
    assert_refused_soon("127.0.0.1", old_port);
    snprintf(expected, sizeof expected, "*[$\"port\", $\"%d\"]", port);
    assert_reply(c, "CONFIG GET port", expected);
    assert_null(strstr(server_log(s), "could not be applied again"));
    client_close(c);
    server_free(s);
}

/* ---- protected mode ---- */

/* An address of this machine that is not loopback; false if it has none. */
static bool outer_address(char out[INET6_ADDRSTRLEN]) {
    struct ifaddrs *all;
    bool found = false;
    if (getifaddrs(&all) != 0) return false;
    for (struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET) continue;
        struct in_addr in = ((struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr;
        found = ntohl(in.s_addr) >> 24 != 127 && inet_ntop(AF_INET, &in, out, INET6_ADDRSTRLEN);
    }
    freeifaddrs(all);
    return found;
}

static void protected_mode_keeps_others_out_until_there_is_a_password(void **state) {
    (void)state;
    char outer[INET6_ADDRSTRLEN];
    if (!outer_address(outer)) skip();
    struct server *s = LAUNCH("--bind", "*");
    struct client *local = server_connect_tcp(s);
    struct client *c = client_open_tcp(outer, server_port(s));
    assert_non_null(c);
    assert_next(c, "-DENIED ...");
    assert_ended(c);
    client_close(c);
    assert_int_equal(info_number(local, "stats", "rejected_connections"), 1);
    assert_reply(local, "CONFIG SET requirepass secret", "+OK");
    c = client_open_tcp(outer, server_port(s));
    assert_reply(c, "PING", NOAUTH);
    assert_reply(c, "AUTH secret", "+OK");
    assert_reply(c, "CONFIG SET requirepass \"\"", "+OK");
    client_close(c);
    assert_false(answers(outer, server_port(s)));
    assert_true(answers("127.0.0.2", server_port(s)));
    assert_reply(local, "CONFIG SET protected-mode no", "+OK");
    assert_true(answers(outer, server_port(s)));
    client_close(local);
    server_free(s);
}

/* ---- passwords ---- */

static const struct exchange strangers[] = {
    { "PING", NOAUTH },
    { "GET k", NOAUTH },
    { "MULTI", NOAUTH },
    { "GET", "-ERR wrong number of arguments for 'get' command" },
    { "FOO", "-ERR unknown command 'FOO', with args beginning with: " },
    { "HELLO 3", "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                 "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
                 "select the RESP protocol version at the same time" },
    { "HELLO 3 AUTH default wrong", WRONGPASS },
    { "AUTH wrong", WRONGPASS },
    { "AUTH default wrong", WRONGPASS },
    { "AUTH nobody secret", WRONGPASS },
    { "AUTH \"\"", WRONGPASS },
    { "AUTH secre", WRONGPASS },
    { "AUTH secret1", WRONGPASS },
    { "AUTH a b c", "-ERR syntax error" },
    { "GET k", NOAUTH },
    { "RESET", "+RESET" },
    { "AUTH secret", "+OK" },
    { "GET k", "$-1" },
    { "AUTH wrong", WRONGPASS },
    { "GET k", "$-1" }, /* a failed AUTH takes nothing away */
    { "RESET", "+RESET" },
    { "GET k", NOAUTH },
    { "AUTH default secret", "+OK" },
    { "GET k", "$-1" },
    { NULL, NULL },
};

static void with_requirepass_nothing_is_answered_before_auth(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "secret", NULL);
    struct client *c = server_connect(s);
    assert_exchanges(c, strangers);
    struct client *other = server_connect(s);
    assert_reply(other, "HELLO 3 AUTH default secret SETNAME me", "%{...");
    assert_reply(other, "CLIENT GETNAME", "$\"me\"");
    /* A new password is asked of newcomers; who is in stays in. */
    assert_reply(c, "CONFIG SET requirepass other", "+OK");
    assert_reply(other, "PING", "+PONG");
    client_close(other);
    other = server_connect(s);
    assert_reply(other, "AUTH secret", WRONGPASS);
    assert_reply(other, "AUTH other", "+OK");
    assert_reply(c, "CONFIG SET requirepass \"\"", "+OK");
    client_close(other);
    other = server_connect(s);
    assert_reply(other, "PING", "+PONG");
    assert_reply(
        other, "AUTH x",
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
    client_close(other);
    client_close(c);
    server_free(s);
}

/* A small file in /tmp; the caller removes it. */
static void write_file(char path[32], const char *text) {
    strcpy(path, "/tmp/trivet-file-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void the_password_may_come_from_a_file(void **state) {
    (void)state;
    char path[32];
    write_file(path, "secret\nanything else\n");
    struct server *s = server_start("--requirepass-file", path, NULL);
    unlink(path);
    struct client *c = server_connect(s);
    assert_exchanges(c, strangers);
    client_close(c);
    server_free(s);
}

static void a_bad_password_file_is_refused(void **state) {
    (void)state;
    char empty[32], good[32];
    write_file(empty, "\n");
    write_file(good, "x\n");
    const struct {
        const char *args[5], *log;
    } rows[] = {
        { { "--requirepass-file", "/nonexistent/file", NULL },
          "cannot read the password file '/nonexistent/file'" },
        { { "--requirepass-file", empty, NULL }, "has no password in its first line" },
        { { "--requirepass-file", good, "--requirepass", "y", NULL }, "exclude each other" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text log = { 0 };
        assert_int_equal(server_run_to_end(&(struct server_plan){ .args = rows[i].args }, &log), 1);
        if (!strstr(text_str(&log), rows[i].log))
            fail_msg("row %zu: no '%s' in\n%s", i, rows[i].log, text_str(&log));
        text_release(&log);
    }
    unlink(empty);
    unlink(good);
}

static void what_a_client_sends_at_connect_may_be_one_write(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "secret", NULL);
    struct client *c = server_connect(s);
    client_queue(c, "HELLO 3 AUTH default secret");
    client_queue(c, "SELECT 3");
    client_queue(c, "CLIENT SETINFO LIB-NAME some-client");
    client_queue(c, "CLIENT SETINFO LIB-VER 1.2.3");
    client_queue(c, "CLIENT SETNAME worker-1");
    client_queue(c, "SET k v");
    client_flush(c);
    assert_next(c, "%{$\"server\": $\"redis\", $\"version\": $\"7.2.4\", $\"proto\": :3, ...");
    for (int i = 0; i < 5; i++) assert_next(c, "+OK");
    assert_reply(c, "CLIENT INFO",
                 "=\"txt:... name=worker-1 ... db=3 ... resp=3 lib-name=some-client lib-ver=1.2.3 ...");
    client_close(c);
    server_free(s);
}

/* ---- limits on connections ---- */

static void beyond_maxclients_newcomers_are_told_and_closed(void **state) {
    (void)state;
    struct server *s = server_start("--maxclients", "4", NULL);
    struct client *in[4], *c;
    for (int i = 0; i < 4; i++) {
        in[i] = server_connect(s);
        assert_reply_soon(in[i], "PING", "+PONG");
    }
    for (int i = 0; i < 10; i++) {
        c = server_connect(s);
        assert_next(c, FULL);
        assert_ended(c);
        client_close(c);
    }
    assert_int_equal(info_number(in[0], "stats", "rejected_connections"), 10);
    client_close(in[3]);
    while (info_number(in[0], "clients", "connected_clients") != 3) continue;
    in[3] = server_connect(s);
    assert_reply(in[3], "PING", "+PONG");
    assert_reply(in[0], "CONFIG SET maxclients 5", "+OK");
    c = server_connect(s);
    assert_reply(c, "PING", "+PONG");
    assert_reply(in[0], "CONFIG SET maxclients 2", "+OK");
    assert_reply(c, "PING", "+PONG"); /* nobody is thrown out */
    client_close(c);
    c = server_connect(s);
    assert_next(c, FULL);
    client_close(c);
    assert_reply(in[0], "CONFIG SET maxclients 0",
                 "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - ...");
    for (int i = 0; i < 4; i++) client_close(in[i]);
    server_free(s);
}

static void timeout_closes_the_idle_but_not_subscribers(void **state) {
    (void)state;
    struct server *s = server_start("--timeout", "1", NULL);
    struct client *idle = server_connect(s), *subscriber = server_connect(s), *monitor = server_connect(s);
    assert_reply(subscriber, "SUBSCRIBE ch", "*[$\"subscribe\", $\"ch\", :1]");
    assert_reply(monitor, "MONITOR", "+OK");
    assert_reply(idle, "PING", "+PONG");
    assert_ended(idle);
    assert_next(monitor, "+... \"PING\"");
    struct client *c = server_connect(s);
    assert_reply(c, "PUBLISH ch hello", ":1");
    assert_next(subscriber, "*[$\"message\", $\"ch\", $\"hello\"]");
    assert_next(monitor, "+... \"PUBLISH\" \"ch\" \"hello\"");
    assert_reply(c, "CONFIG SET timeout 0", "+OK");
    client_close(c);
    client_close(monitor);
    client_close(subscriber);
    client_close(idle);
    server_free(s);
}

/* The kind of timer that runs on the server's end of the connections to its port, as the kernel shows it: 2
 * is keepalive. */
static int timer_on(int port) {
    char line[512];
    int timer = -1;
    FILE *f = fopen("/proc/net/tcp", "r");
    if (!f) return -1;
    while (fgets(line, sizeof line, f)) {
        unsigned local, state, kind;
        if (sscanf(line, " %*d: %*x:%x %*x:%*x %x %*x:%*x %x:", &local, &state, &kind) != 3) continue;
        if (local == (unsigned)port && state == 1) timer = (int)kind;
    }
    fclose(f);
    return timer;
}

static void tcp_keepalive_is_set_and_changes_while_it_runs(void **state) {
    (void)state;
    struct server *s = LAUNCH("--bind", "127.0.0.1");
    struct client *c = server_connect_tcp(s);
    assert_reply(c, "PING", "+PONG");
    if (timer_on(server_port(s)) < 0) skip();
    for (int tries = 0; timer_on(server_port(s)) != 2; tries++) assert_true(tries < 100000);
    assert_reply(c, "CONFIG SET tcp-keepalive 0", "+OK");
    for (int tries = 0; timer_on(server_port(s)) != 0; tries++) assert_true(tries < 100000);
    assert_reply(c, "CONFIG SET tcp-keepalive 60", "+OK");
    for (int tries = 0; timer_on(server_port(s)) != 2; tries++) assert_true(tries < 100000);
    client_close(c);
    server_free(s);
}

/* ---- limits on memory ---- */

/* Sends pieces until the server has had enough; at most `times` of them. */
static void send_until_cut(struct client *c, const char *piece, size_t len, int times) {
    for (int i = 0; i < times; i++) {
        client_queue_raw(c, piece, len);
        if (!client_flush(c)) return;
    }
    fail_msg("the server took it all");
}

static void a_command_bigger_than_the_query_limit_is_cut_off(void **state) {
    (void)state;
    struct server *s = server_start("--client-query-buffer-limit", "1mb", NULL);
    static const struct {
        const char *head, *piece;
    } rows[] = {
        { "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n", NULL }, /* one big argument */
        { "*1000000\r\n$3\r\nDEL\r\n", "$10\r\n0123456789\r\n" }, /* many small ones */
        { "MULTI\r\n",
          "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\n0123456789\r\n" }, /* many small commands, queued */
    };
    char zeros[10000];
    memset(zeros, '0', sizeof zeros);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client *c = server_connect(s);
        client_send_raw(c, rows[i].head);
        send_until_cut(c, rows[i].piece ? rows[i].piece : zeros,
                       rows[i].piece ? strlen(rows[i].piece) : sizeof zeros, 100000);
        client_close(c);
        server_await_log(s, "client-query-buffer-limit", i + 1);
    }
    struct client *c = server_connect(s);
    assert_int_equal(info_number(c, "stats", "client_query_buffer_limit_disconnections"), 3);
    assert_reply(c, "EXISTS k", ":0");
    client_close(c);
    server_free(s);
}

static void a_client_that_does_not_read_is_cut_at_the_hard_limit(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "normal 1mb 0 0", NULL);
    struct client *c = server_connect(s), *slow = server_connect(s);
    assert_reply(c, "SETRANGE k 99999 x", ":100000");
    assert_reply(slow, "CLIENT SETNAME the-slow-one", "+OK");
    /* Not client_flush: that reads. 7 kB fit into any socket. */
    struct text wire = { 0 };
    for (int i = 0; i < 1000; i++) text_append_str(&wire, "GET k\r\n");
    assert_int_equal(send(client_fd(slow), wire.ptr, wire.len, MSG_NOSIGNAL), wire.len);
    text_release(&wire);
    server_await_log(s, "name=the-slow-one", 1);
    server_await_log(
        s, "overcoming of output buffer limits: the hard output buffer limit (client-output-buffer-limit)",
        1);
    assert_int_equal(info_number(c, "stats", "client_output_buffer_limit_disconnections"), 1);
    client_close(slow);
    client_close(c);
    server_free(s);
}

/* Publishes `count` messages of 10 kB; a fast subscriber gets all, in order; a slow one reads nothing. */
static void publish_to_fast_and_slow(struct server *s, int count) {
    struct client *publisher = server_connect(s), *fast = server_connect(s), *slow = server_connect(s);
    char *padding = calloc(1, 10001);
    assert_non_null(padding);
    memset(padding, 'p', 10000);
    assert_reply(slow, "CLIENT SETNAME the-slow-one", "+OK");
    assert_reply(slow, "SUBSCRIBE ch", "*[...");
    assert_reply(fast, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < count; i++) {
        struct node *reply = client_ask_node(publisher, "PUBLISH ch %d-%s", i, padding);
        assert_in_range(reply->number, 1, 2);
        node_free(reply);
        struct node *message = client_read(fast);
        assert_int_equal(atoi(text_str(&message->items[2]->bytes)), i);
        node_free(message);
    }
    server_await_log(s, "name=the-slow-one", 1);
    while (info_number(publisher, "clients", "pubsub_clients") != 1) continue;
    assert_reply(publisher, "PUBLISH ch last", ":1");
    assert_next(fast, "*[$\"message\", $\"ch\", $\"last\"]");
    assert_int_equal(info_number(publisher, "stats", "client_output_buffer_limit_disconnections"), 1);
    free(padding);
    client_close(slow);
    client_close(fast);
    client_close(publisher);
}

static void a_slow_subscriber_is_cut_at_the_hard_limit_and_the_fast_lose_nothing(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 1mb 0 0", NULL);
    publish_to_fast_and_slow(s, 300);
    server_await_log(
        s, "overcoming of output buffer limits: the hard output buffer limit (client-output-buffer-limit)",
        1);
    server_free(s);
}

static void a_slow_subscriber_is_cut_when_the_soft_limit_lasts(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 0 100kb 1", NULL);
    publish_to_fast_and_slow(s, 200);
    server_await_log(
        s, "overcoming of output buffer limits: the soft output buffer limit (client-output-buffer-limit)",
        1);
    server_free(s);
}

static void a_subscriber_below_its_limits_stays(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 64mb 32mb 1", NULL);
    struct client *publisher = server_connect(s), *late = server_connect(s);
    assert_reply(late, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < 3000; i++) client_queue(publisher, "PUBLISH ch %d-%01000d", i, 0);
    client_skip(publisher, 3000);
    for (int i = 0; i < 3000; i++) {
        struct node *message = client_read(late);
        assert_int_equal(atoi(text_str(&message->items[2]->bytes)), i);
        node_free(message);
    }
    client_close(late);
    client_close(publisher);
    server_free(s);
}

/* The soft limit's time is one without a break: who reads everything at once begins anew. */
static void a_subscriber_that_catches_up_begins_its_soft_time_anew(void **state) {
    (void)state;
    struct server *s = server_start("--client-output-buffer-limit", "pubsub 0 100kb 1", NULL);
    struct client *publisher = server_connect(s), *c = server_connect(s);
    char *big = calloc(1, 1000001);
    assert_non_null(big);
    memset(big, 'x', 1000000);
    assert_reply(c, "SUBSCRIBE ch", "*[...");
    for (int i = 0; i < 2; i++) {
        client_queue(publisher, "PUBLISH ch %s", big);
        client_flush(publisher);
        assert_next(publisher, ":1");
        node_free(client_read(c));
        if (i == 0) nanosleep(&(struct timespec){ .tv_sec = 2, .tv_nsec = 200000000 }, NULL);
    }
    assert_reply(publisher, "PUBLISH ch last", ":1");
    assert_next(c, "*[$\"message\", $\"ch\", $\"last\"]");
    free(big);
    client_close(c);
    client_close(publisher);
    server_free(s);
}

static void who_never_authenticated_gets_answers_but_no_memory(void **state) {
    (void)state;
    struct server *s = server_start("--requirepass", "pw", NULL);
    struct client *polite = server_connect(s), *rude = server_connect(s), *late = server_connect(s);
    for (int i = 0; i < 1000; i++) client_queue(polite, "GET k");
    client_flush(polite);
    for (int i = 0; i < 1000; i++) assert_next(polite, NOAUTH);
    assert_reply(polite, "AUTH pw", "+OK");
    while (send(client_fd(rude), "GET k\r\n", 7, MSG_NOSIGNAL) == 7) continue; /* client_flush would read */
    server_await_log(s, "the unauthenticated output buffer limit", 1);
    assert_in_range(info_number(polite, "memory", "used_memory_peak"), 1, 8 << 20);
    /* RESET takes the rights away, but not the trust: what waits is more than a stranger may have. */
    assert_reply(polite, "SETRANGE k 9999999 x", ":10000000");
    assert_reply(late, "AUTH pw", "+OK");
    assert_int_equal(send(client_fd(late), "GET k\r\nRESET\r\n", 14, MSG_NOSIGNAL), 14);
    node_free(client_read(late));
    assert_next(late, "+RESET");
    client_close(late);
    client_close(rude);
    client_close(polite);
    server_free(s);
}

/* A count that would fill any memory: the reply ends at the limit, and so does the command, locks and all. */
static void a_reply_without_end_stops_at_the_hard_limit(void **state) {
    (void)state;
    static const char *const rows[] = {
        "SRANDMEMBER s -9223372036854775807",
        "ZRANDMEMBER z -9223372036854775807",
        "ZRANDMEMBER z -4611686018427387903 WITHSCORES",
        "HRANDFIELD h -9223372036854775807",
        "HRANDFIELD h -4611686018427387903 WITHVALUES",
    };
    struct server *s = server_start("--client-output-buffer-limit", "normal 1mb 0 0", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "SADD s member", ":1");
    assert_reply(c, "ZADD z 1 member", ":1");
    assert_reply(c, "HSET h member value", ":1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client *greedy = server_connect(s);
        client_send(greedy, "%s", rows[i]);
        assert_ended(greedy);
        client_close(greedy);
        /* The same with nobody to hear it is over at once. */
        client_send(c, "CLIENT REPLY SKIP");
        client_send(c, "%s", rows[i]);
        assert_reply(c, "PING", "+PONG");
    }
    /* A transaction is not cut in two: what comes behind the long reply has happened. */
    struct client *greedy = server_connect(s);
    assert_reply(greedy, "MULTI", "+OK");
    assert_reply(greedy, rows[0], "+QUEUED");
    assert_reply(greedy, "SET after 1", "+QUEUED");
    client_send(greedy, "EXEC");
    assert_ended(greedy);
    client_close(greedy);
    assert_reply(c, "GET after", "$\"1\"");
    server_await_log(s, "the hard output buffer limit", sizeof rows / sizeof rows[0] + 1);
    assert_in_range(info_number(c, "memory", "used_memory_peak"), 1, 16 << 20);
    client_close(c);
    server_free(s);
}

/* ---- memory of all clients ---- */

/* Someone who holds so many bytes of an unfinished argument, on whichever worker. */
static struct client *open_hoarder(struct server *s, size_t bytes, bool spared) {
    struct client *c = server_connect(s);
    char *zeros = calloc(1, bytes);
    assert_non_null(zeros);
    if (spared) assert_reply(c, "CLIENT NO-EVICT ON", "+OK");
    assert_reply(c, "CLIENT SETNAME hoarder", "+OK");
    client_send_raw(c, "*2\r\n$4\r\nECHO\r\n$30000000\r\n");
    client_queue_raw(c, zeros, bytes);
    client_flush(c);
    free(zeros);
    return c;
}

static void maxmemory_clients_closes_the_biggest_first_and_spares_no_evict(void **state) {
    (void)state;
    struct server *s = server_start("--maxmemory", "100mb", NULL);
    struct client *c = server_connect(s);
    struct client *small = open_hoarder(s, 1000000, false), *big = open_hoarder(s, 5000000, false),
                  *spared = open_hoarder(s, 6000000, true);
    while (info_number(c, "memory", "mem_clients_normal") < 12000000) continue;
    assert_true(info_number(c, "memory", "mem_clients_normal") >
                info_number(c, "clients", "client_recent_max_input_buffer"));
    assert_true(info_number(c, "clients", "client_recent_max_input_buffer") >= 6000000);
    assert_reply(c, "CONFIG SET maxmemory-clients 12%", "+OK");
    assert_ended(big);
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 1);
    server_await_log(s, "Evicting client: ", 1);
    assert_reply_soon(c, "CONFIG SET maxmemory-clients 9000000", "+OK");
    assert_ended(small);
    assert_int_equal(info_number(c, "stats", "evicted_clients"), 2);
    assert_reply(c, "CONFIG SET maxmemory-clients 0", "+OK");
    client_close(small);
    client_close(big);
    client_close(spared);
    while (info_number(c, "clients", "connected_clients") > 1) continue;
    assert_in_range(info_number(c, "memory", "mem_clients_normal"), 1, 100000);
    client_close(c);
    server_free(s);
}

/* What waits for a reader counts too, and subscribers do. */
static void maxmemory_clients_closes_who_does_not_read(void **state) {
    (void)state;
    struct server *s =
        server_start("--maxmemory-clients", "20mb", "--client-output-buffer-limit", "pubsub 0 0 0", NULL);
    struct client *c = server_connect(s), *slow = server_connect(s);
    char *big = calloc(1, 1000001);
    assert_non_null(big);
    memset(big, 'x', 1000000);
    assert_reply(slow, "SUBSCRIBE ch", "*[...");
    for (int i = 0; info_number(c, "stats", "evicted_clients") == 0; i++) {
        assert_true(i < 100);
        node_free(client_ask_node(c, "PUBLISH ch %s", big));
    }
    assert_reply_soon(c, "PUBLISH ch x", ":0");
    free(big);
    client_close(slow);
    client_close(c);
    server_free(s);
}

/* ---- replies switched off ---- */

static void client_reply_off_and_skip_hold_replies_back(void **state) {
    struct client *c = fixture_client(state);
    client_send_raw(c, "CLIENT REPLY OFF\r\nSET k 1\r\nGET k\r\nFOO\r\nCLIENT REPLY ON\r\nGET k\r\n");
    assert_next(c, "+OK");
    assert_next(c, "$\"1\"");
    client_send_raw(c, "CLIENT REPLY SKIP\r\nSET k 2\r\nGET k\r\nCLIENT REPLY SKIP\r\nFOO\r\nGET k\r\n");
    assert_next(c, "$\"2\"");
    assert_next(c, "$\"2\"");
    assert_reply(c, "CLIENT REPLY FOO", "-ERR syntax error");
    client_send_raw(c, "HELLO 3\r\nSUBSCRIBE ch\r\nCLIENT REPLY OFF\r\nPUBLISH ch x\r\n");
    assert_next(c, "%{...");
    assert_next(c, ">[$\"subscribe\", $\"ch\", :1]");
    assert_next(c, ">[$\"message\", $\"ch\", $\"x\"]"); /* a push is no reply */
    assert_reply(c, "CLIENT REPLY ON", "+OK");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_listens_on_every_address_of_bind_and_on_no_other),
        cmocka_unit_test(it_refuses_to_start_where_it_cannot_listen),
        cmocka_unit_test(the_unix_socket_has_the_rights_asked_for_and_goes_at_the_end),
        FIXTURE_TEST(port_0_means_no_tcp),
        cmocka_unit_test(port_and_bind_change_while_it_runs),
        cmocka_unit_test(bind_may_keep_some_of_its_addresses),
        cmocka_unit_test(port_and_bind_change_together_or_not_at_all),
        cmocka_unit_test(protected_mode_keeps_others_out_until_there_is_a_password),
        cmocka_unit_test(with_requirepass_nothing_is_answered_before_auth),
        cmocka_unit_test(the_password_may_come_from_a_file),
        cmocka_unit_test(a_bad_password_file_is_refused),
        cmocka_unit_test(what_a_client_sends_at_connect_may_be_one_write),
        cmocka_unit_test(beyond_maxclients_newcomers_are_told_and_closed),
        cmocka_unit_test(timeout_closes_the_idle_but_not_subscribers),
        cmocka_unit_test(tcp_keepalive_is_set_and_changes_while_it_runs),
        cmocka_unit_test(a_command_bigger_than_the_query_limit_is_cut_off),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_at_the_hard_limit),
        cmocka_unit_test(a_slow_subscriber_is_cut_at_the_hard_limit_and_the_fast_lose_nothing),
        cmocka_unit_test(a_slow_subscriber_is_cut_when_the_soft_limit_lasts),
        cmocka_unit_test(a_subscriber_below_its_limits_stays),
        cmocka_unit_test(a_subscriber_that_catches_up_begins_its_soft_time_anew),
        cmocka_unit_test(who_never_authenticated_gets_answers_but_no_memory),
        cmocka_unit_test(a_reply_without_end_stops_at_the_hard_limit),
        cmocka_unit_test(maxmemory_clients_closes_the_biggest_first_and_spares_no_evict),
        cmocka_unit_test(maxmemory_clients_closes_who_does_not_read),
        FIXTURE_TEST(client_reply_off_and_skip_hold_replies_back),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
