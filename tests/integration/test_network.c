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
    assert_string_equal(info_field(c, "server", "listener1"), expected);
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

#define NOT_ALLOWED(command, option)                                                                      \
    "-ERR " command " command not allowed. If the " option " option is set to \"local\", you can run it " \
    "from a local connection, otherwise you need to set this option in the configuration file, and "      \
    "then restart the server."
#define NOT_PROTECTED \
    "-ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"

static const struct exchange guarded[] = {
    { "DEBUG SLEEP 0", NOT_ALLOWED("DEBUG", "enable-debug-command") },
    { "MODULE LOAD /x.so", NOT_ALLOWED("MODULE", "enable-module-command") },
    { "MODULE LOADEX /x.so", NOT_ALLOWED("MODULE", "enable-module-command") },
    { "MODULE UNLOAD x", NOT_ALLOWED("MODULE", "enable-module-command") },
    { "MODULE LIST", "*[]" },
    { "CONFIG SET dir /", NOT_PROTECTED },
    { NULL, NULL }
};

static const struct exchange unguarded[] = {
    { "DEBUG SLEEP 0", "+OK" },
    { "MODULE LOAD /x.so", "-ERR Error loading the extension. Please check the server logs." },
    { "MODULE LOADEX /x.so", "-ERR Error loading the extension. Please check the server logs." },
    { "MODULE UNLOAD x", "-ERR Error unloading module: no such module with that name" },
    { "MODULE LIST", "*[]" },
    { "CONFIG SET dir /", "+OK" },
    { NULL, NULL },
};

static void check_guards(const char *guard, const struct exchange *near, const struct exchange *far) {
    char outer[INET6_ADDRSTRLEN];
    bool has_outer = outer_address(outer);
    struct server *s = LAUNCH("--bind", "*", "--protected-mode", "no", "--enable-debug-command", guard,
                              "--enable-module-command", guard, "--enable-protected-configs", guard);
    struct client *ways[] = { server_connect(s), server_connect_tcp(s),
                              has_outer ? client_open_tcp(outer, server_port(s)) : NULL };
    for (size_t i = 0; i < COUNT_OF(ways) - !has_outer; i++) {
        assert_exchanges(ways[i], i == 2 ? far : near);
        client_close(ways[i]);
    }
    server_free(s);
}

static void guards_let_all_pass_or_those_on_this_machine_or_none(void **state) {
    (void)state;
    check_guards("no", guarded, guarded);
    check_guards("local", unguarded, guarded);
    check_guards("yes", unguarded, unguarded);
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

/* Its end and the next one's beginning often reach the server at once. */
static void the_place_of_a_client_that_left_is_free_for_the_next(void **state) {
    (void)state;
    struct server *s = server_start("--maxclients", "1", "--io-threads", "1", NULL);
    for (int i = 0; i < 500; i++) {
        struct client *c = server_connect(s);
        assert_reply(c, "PING", "+PONG");
        client_close(c);
    }
    server_free(s);
}

static void beyond_maxclients_newcomers_are_told_and_closed(void **state) {
    (void)state;
    struct server *s = server_start("--maxclients", "4", NULL);
    struct client *in[4], *c;
    in[0] = server_connect(s);
    /* The connection that saw the server come up may not be gone yet. */
    assert_reply_soon(in[0], "INFO clients", "...connected_clients:1\\r\\n...");
    for (int i = 1; i < 4; i++) {
        in[i] = server_connect(s);
        assert_reply(in[i], "PING", "+PONG");
    }
    for (int i = 0; i < 10; i++) {
        c = server_connect(s);
        assert_next(c, FULL);
        assert_ended(c);
        client_close(c);
    }
    assert_int_equal(info_number(in[0], "stats", "rejected_connections"), 10);
    client_close(in[3]);
    assert_reply_soon(in[0], "INFO clients", "...connected_clients:3\\r\\n...");
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
        cmocka_unit_test(guards_let_all_pass_or_those_on_this_machine_or_none),
        cmocka_unit_test(with_requirepass_nothing_is_answered_before_auth),
        cmocka_unit_test(the_password_may_come_from_a_file),
        cmocka_unit_test(a_bad_password_file_is_refused),
        cmocka_unit_test(what_a_client_sends_at_connect_may_be_one_write),
        cmocka_unit_test(the_place_of_a_client_that_left_is_free_for_the_next),
        cmocka_unit_test(beyond_maxclients_newcomers_are_told_and_closed),
        cmocka_unit_test(timeout_closes_the_idle_but_not_subscribers),
        cmocka_unit_test(tcp_keepalive_is_set_and_changes_while_it_runs),
        FIXTURE_TEST(client_reply_off_and_skip_hold_replies_back),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
