/* test_hostile_clients.c: clients that mean no good, or that break in the middle of everything. Beside each
 * attack a well-behaved client asks PING without pause: every one is answered, and how long that took is
 * printed. After it the server has as many descriptors and clients as before, and its memory back. */
#include "../harness/fixture.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#define SCALED(release, sanitized) (sanitized)
#else
#define SCALED(release, sanitized) (release)
#endif

/* ---- the well-behaved client ---- */

#define SAMPLES_MAX 2000000

static struct witness {
    pthread_t thread;
    struct client *client;
    atomic_bool stop;
    int64_t *took_us;
    size_t count;
    bool all_answered;
} witness;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *ask_and_ask(void *arg) {
    struct witness *w = arg;
    while (!atomic_load(&w->stop) && w->all_answered) {
        int64_t began = now_us();
        w->all_answered = strcmp(client_ask(w->client, "PING"), "+PONG") == 0;
        if (w->count < SAMPLES_MAX) w->took_us[w->count++] = now_us() - began;
    }
    return NULL;
}

static int compare(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* ---- an attack, and what must be as before ---- */

static struct scene {
    struct server *server;
    struct client *c;
    int files;
    int64_t memory;
} scene;

static void scene_begin(const char *const *args) {
    scene.server = server_launch(&(struct server_plan){ .tcp = true, .args = args });
    scene.c = server_connect(scene.server);
    witness = (struct witness){ .client = server_connect(scene.server), .all_answered = true };
    witness.took_us = malloc(SAMPLES_MAX * sizeof *witness.took_us);
    assert_non_null(witness.took_us);
    assert_reply(witness.client, "PING", "+PONG");
    scene.memory = info_number(scene.c, "memory", "used_memory");
    scene.files = server_open_files(scene.server);
    for (int i = 0; i < 50; i++) { /* a line of the log opens a file for a moment */
        int files = server_open_files(scene.server);
        if (files < scene.files) scene.files = files;
    }
    assert_int_equal(pthread_create(&witness.thread, NULL, ask_and_ask, &witness), 0);
}

static void await_number(const char *section, const char *field, int64_t wanted) {
    for (int tries = 0; info_number(scene.c, section, field) != wanted; tries++) assert_true(tries < 200000);
}

#define MEMORY_SLACK (8 << 20) /* tables that grew, blocks that are kept for the next replies */

static void scene_end(const char *name) {
    await_number("clients", "connected_clients", 2);
    static const char *const none[] = { "blocked_clients",  "pubsub_clients",      "tracking_clients",
                                        "watching_clients", "total_blocking_keys", "total_watched_keys" };
    for (size_t i = 0; i < COUNT_OF(none); i++) await_number("clients", none[i], 0);
    for (int tries = 0; server_open_files(scene.server) > scene.files; tries++) assert_true(tries < 100000);
    assert_reply(scene.c, "FLUSHALL", "+OK");
    for (int tries = 0; info_number(scene.c, "memory", "used_memory") > scene.memory + MEMORY_SLACK; tries++)
        assert_true(tries < 100000);
    atomic_store(&witness.stop, true);
    pthread_join(witness.thread, NULL);
    assert_true(witness.all_answered && witness.count > 0);
    qsort(witness.took_us, witness.count, sizeof *witness.took_us, compare);
    print_message("%s: %zu PINGs beside it, p50 %lld us, p99.9 %lld us, longest %lld us\n", name,
                  witness.count, (long long)witness.took_us[witness.count / 2],
                  (long long)witness.took_us[witness.count - 1 - witness.count / 1000],
                  (long long)witness.took_us[witness.count - 1]);
    free(witness.took_us);
    client_close(witness.client);
    client_close(scene.c);
    server_free(scene.server);
}

/* ---- sockets without manners ---- */

static int connect_raw(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port(scene.server)) };
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static void say(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0) return; /* it was cut off, which may be right */
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void hang_up_hard(int fd) {
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    close(fd);
}

/* Everything until the other side closes. */
static size_t read_to_the_end(int fd, char *out, size_t room) {
    size_t len = 0;
    for (;;) {
        char bytes[4096];
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&wait, 1, CLIENT_PATIENCE_MS), 1);
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0) return len;
        for (ssize_t i = 0; i < got && len < room; i++) out[len++] = bytes[i];
    }
}

/* ---- the attacks ---- */

static void commands_that_come_byte_by_byte(void **state) {
    (void)state;
    enum { COUNT = SCALED(500, 60) };
    static const char command[] = "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nvalue\r\n";
    scene_begin(NULL);
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) fds[i] = connect_raw();
    for (size_t at = 0; at < sizeof command - 1; at++)
        for (int i = 0; i < COUNT; i++)
            if (at < sizeof command - 2 || i % 2) say(fds[i], command + at, 1); /* every other never ends */
    for (int i = 1; i < COUNT; i += 2) {
        char reply[8] = "";
        shutdown(fds[i], SHUT_WR);
        assert_int_equal(read_to_the_end(fds[i], reply, sizeof reply), 5);
        assert_memory_equal(reply, "+OK\r\n", 5);
    }
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    scene_end(__func__);
}

/* Who has said that nothing more comes gets the answers to what came, and is let go. */
static void connections_that_are_half_closed(void **state) {
    (void)state;
    enum { COUNT = SCALED(500, 60) };
    static const char *const said[] = { "",
                                        "PING",
                                        "*2\r\n$4\r\nECHO\r\n$1000\r\nabc",
                                        "PING\r\nPING\r\n",
                                        "MULTI\r\nSET k v\r\n",
                                        "BLPOP none 0\r\n",
                                        "SUBSCRIBE ch\r\n" };
    scene_begin(NULL);
    for (int i = 0; i < COUNT; i++) {
        int fd = connect_raw();
        const char *words = said[(size_t)i % COUNT_OF(said)];
        char reply[64] = "";
        say(fd, words, strlen(words));
        shutdown(fd, SHUT_WR);
        size_t len = read_to_the_end(fd, reply, sizeof reply);
        if (strcmp(words, "PING\r\nPING\r\n") == 0) assert_int_equal(len, 14);
        close(fd);
    }
    scene_end(__func__);
}

static void lines_without_end_and_promises_of_gigabytes(void **state) {
    (void)state;
    enum { COUNT = SCALED(200, 30), LONG = 80 * 1024 };
    static const char *const promises[] = { "*1048576\r\n", "*2\r\n$4\r\nECHO\r\n$536870912\r\n",
                                            "*2\r\n$4\r\nECHO\r\n$536870912\r\nxyz" };
    char *line = malloc(LONG);
    assert_non_null(line);
    memset(line, 'x', LONG);
    scene_begin(NULL);
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = connect_raw();
        if (i % 2)
            say(fds[i], line, LONG);
        else
            say(fds[i], promises[(size_t)i / 2 % COUNT_OF(promises)],
                strlen(promises[(size_t)i / 2 % COUNT_OF(promises)]));
    }
    for (int i = 1; i < COUNT; i += 2) {
        char reply[64] = "";
        (void)read_to_the_end(fds[i], reply, sizeof reply - 1); /* a reset may overtake the error */
        if (reply[0]) assert_string_equal(reply, "-ERR Protocol error: too big inline request\r\n");
    }
    /* The promises are still open. Each has cost the first room of a big argument at most. */
    await_number("clients", "connected_clients", 2 + (COUNT + 1) / 2);
    assert_in_range(info_number(scene.c, "memory", "used_memory"), 1,
                    (uintmax_t)scene.memory + MEMORY_SLACK + COUNT / 2 * (1 << 20) * 5 / 4);
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    free(line);
    scene_end(__func__);
}

/* Pipelines that ask for far more than the limit and read none of it. */
static void deep_pipelines_that_nobody_reads(void **state) {
    (void)state;
    enum { COUNT = SCALED(20, 5), LIMIT = 4 << 20 };
    static const char *const args[] = { "--client-output-buffer-limit", "normal 4194304 0 0", NULL };
    scene_begin(args);
    assert_reply(scene.c, "SETRANGE big 99999 x", ":100000");
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = connect_raw();
        for (int k = 0; k < 2000; k++) say(fds[i], "GET big\r\n", 9);
        int64_t used = info_number(scene.c, "memory", "used_memory");
        uintmax_t most = (uintmax_t)(i + 1) * (LIMIT + 400000);
        assert_in_range(used, 1, (uintmax_t)scene.memory + MEMORY_SLACK + most);
    }
    for (int tries = 0; info_number(scene.c, "stats", "client_output_buffer_limit_disconnections") < COUNT;
         tries++)
        assert_true(tries < 200000);
    for (int i = 0; i < COUNT; i++) close(fds[i]);
    scene_end(__func__);
}

#define FILES_BESIDE 500 /* that the test or the server has open besides */

/* As many as the limit of open files allows, which the server inherits. */
static size_t room_for_sockets(size_t wanted) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < wanted + FILES_BESIDE) {
        bool fits = limit.rlim_max >= wanted + FILES_BESIDE;
        limit.rlim_cur = fits ? wanted + FILES_BESIDE : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    return limit.rlim_cur < wanted + FILES_BESIDE ? limit.rlim_cur - FILES_BESIDE : wanted;
}

static void thousands_of_idle_connections(void **state) {
    (void)state;
    static const char *const args[] = { "--maxclients", "20000", NULL };
    size_t count = room_for_sockets(SCALED(10000, 500));
    scene_begin(args);
    int *fds = malloc(count * sizeof *fds);
    assert_non_null(fds);
    for (size_t i = 0; i < count; i++) fds[i] = connect_raw();
    await_number("clients", "connected_clients", (int64_t)count + 2);
    int64_t each = (info_number(scene.c, "memory", "used_memory") - scene.memory) / (int64_t)count;
    print_message("%zu idle connections, %lld bytes each\n", count, (long long)each);
    assert_in_range(each, 1, 8192);
    for (size_t i = 0; i < count; i += 97) {
        char reply[8];
        say(fds[i], "PING\r\n", 6);
        assert_int_equal(recv(fds[i], reply, 7, MSG_WAITALL), 7);
    }
    for (size_t i = 0; i < count; i++) i % 2 ? hang_up_hard(fds[i]) : (void)close(fds[i]);
    free(fds);
    scene_end(__func__);
}

static void thousands_of_connections_a_second(void **state) {
    (void)state;
    enum { COUNT = SCALED(10000, 500) };
    static const char *const words[] = { "", "PING\r\n", "*1\r\n$4\r\nPI", "SET k v\r\nGET k\r\n" };
    scene_begin(NULL);
    int64_t began = now_us();
    for (int i = 0; i < COUNT; i++) {
        int fd = connect_raw();
        const char *said = words[(size_t)i % COUNT_OF(words)];
        say(fd, said, strlen(said));
        hang_up_hard(fd);
    }
    print_message("%lld connections a second\n", (long long)COUNT * 1000000 / (now_us() - began + 1));
    scene_end(__func__);
}

/* ---- the middle of everything ---- */

static const char *const halves[] = {
    "*3\r\n$3\r\nSET\r\n$1",
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabcdefghijklmnopqrstuvwxyz",
    "MULTI\r\n",
    "MULTI\r\nSET k v\r\nINCR n\r\n*2\r\n$4\r\nECHO\r\n$9\r\nxx",
    "WATCH k l m\r\nMULTI\r\nSET k v\r\n",
    "BLPOP none 0\r\n",
    "BLPOP none other 0\r\nPING\r\nPING\r\n",
    "BLMOVE none l LEFT LEFT 0\r\n",
    "BZPOPMIN none 0\r\n",
    "XREAD BLOCK 0 STREAMS none $\r\n",
    "WAIT 1 0\r\n",
    "SUBSCRIBE a b c\r\n",
    "PSUBSCRIBE a* b*\r\nSUBSCRIBE x\r\n",
    "SSUBSCRIBE a\r\n",
    "MONITOR\r\n",
    "HELLO 3\r\nCLIENT TRACKING ON\r\nGET k\r\nGET l\r\n",
    "HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX k\r\n",
    "CLIENT REPLY OFF\r\nSET k v\r\n",
    "CLIENT REPLY SKIP\r\n",
    "EVAL \"for i = 1, 20000 do redis.call('SET', KEYS[1], i) end\" 1 k\r\n",
    "CLIENT PAUSE 5 WRITE\r\nSET k v\r\n",
    "RESET\r\nQUIT\r\nPING\r\n",
    "GET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\n",
    "DEBUG SLEEP 0.001\r\nGET big\r\n",
};

static void hang_up(int fd, int how) {
    if (how == 1) {
        hang_up_hard(fd);
        return;
    }
    if (how == 2) shutdown(fd, SHUT_RDWR);
    if (how == 3) shutdown(fd, SHUT_RD);
    close(fd);
}

static void connections_that_end_in_the_middle_of_everything(void **state) {
    (void)state;
    enum { ROUNDS = SCALED(60, 8), WAYS = 4 };
    scene_begin(NULL);
    for (int round = 0; round < ROUNDS; round++) {
        int fds[COUNT_OF(halves)];
        assert_reply(scene.c, "SETRANGE big 999999 x", ":1000000");
        for (size_t i = 0; i < COUNT_OF(halves); i++) {
            fds[i] = connect_raw();
            say(fds[i], halves[i], strlen(halves[i]));
        }
        /* What they wait for happens while they go. */
        client_queue(scene.c, "PUBLISH a 1");
        client_queue(scene.c, "SET k %d", round);
        client_queue(scene.c, "DEL l none");
        client_queue(scene.c, "RPUSH none x y z");
        client_queue(scene.c, "DEL none");
        client_flush(scene.c);
        for (size_t i = 0; i < COUNT_OF(halves); i++) hang_up(fds[i], (round + (int)i) % WAYS);
        client_skip(scene.c, 5);
    }
    scene_end(__func__);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_that_come_byte_by_byte),
        cmocka_unit_test(connections_that_are_half_closed),
        cmocka_unit_test(lines_without_end_and_promises_of_gigabytes),
        cmocka_unit_test(deep_pipelines_that_nobody_reads),
        cmocka_unit_test(thousands_of_idle_connections),
        cmocka_unit_test(thousands_of_connections_a_second),
        cmocka_unit_test(connections_that_end_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
