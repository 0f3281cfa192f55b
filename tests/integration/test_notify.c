/* test_notify.c: what systemd is told: a socket of the test stands in its place. */
#include "../harness/check.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define INTERVAL_US "200000" /* of the watchdog: a sign is due every 50 ms */
#define PATIENCE_S 60

/* ---- the listener ---- */

#define MESSAGES_MAX 4096

/* A thread of its own listens: few messages fit into the kernel's queue, and a server waits when it is full.
 */
static struct {
    struct sockaddr_un address;
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    char *messages[MESSAGES_MAX]; /* under the lock */
    size_t count;                 /* likewise */
    size_t heard;                 /* the test's */
    char message[512];            /* the last one that the test heard */
} listener = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static void *listen_on(void *arg) {
    (void)arg;
    for (;;) {
        char message[sizeof listener.message];
        ssize_t got = recv(listener.fd, message, sizeof message - 1, 0);
        if (got <= 0) return NULL; /* an empty message ends it */
        message[got] = '\0';
        pthread_mutex_lock(&listener.lock);
        if (listener.count < MESSAGES_MAX) listener.messages[listener.count++] = strdup(message);
        pthread_cond_signal(&listener.more);
        pthread_mutex_unlock(&listener.lock);
    }
}

static int listener_open(void **state) {
    (void)state;
    listener.address.sun_family = AF_UNIX;
    snprintf(listener.address.sun_path, sizeof listener.address.sun_path, "/tmp/trivet-notify-%d",
             (int)getpid());
    listener.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (listener.fd < 0) return -1;
    if (bind(listener.fd, (struct sockaddr *)&listener.address, sizeof listener.address) != 0) return -1;
    setenv("NOTIFY_SOCKET", listener.address.sun_path, 1);
    setenv("WATCHDOG_USEC", INTERVAL_US, 1);
    return pthread_create(&listener.thread, NULL, listen_on, NULL);
}

/* The test's own message. */
static ssize_t speak(const char *message) {
    return sendto(listener.fd, message, strlen(message), 0, (struct sockaddr *)&listener.address,
                  sizeof listener.address);
}

static int listener_close(void **state) {
    (void)state;
    if (speak("") != 0 || pthread_join(listener.thread, NULL) != 0) return -1;
    for (size_t i = 0; i < listener.count; i++) free(listener.messages[i]);
    listener.count = listener.heard = 0;
    close(listener.fd);
    unlink(listener.address.sun_path);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

/* The next message, or false if there is none for too long. */
static bool hear(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int result = 0;
    pthread_mutex_lock(&listener.lock);
    while (listener.heard == listener.count && result == 0)
        result = pthread_cond_timedwait(&listener.more, &listener.lock, &until);
    bool there = listener.heard < listener.count;
    if (there) snprintf(listener.message, sizeof listener.message, "%s", listener.messages[listener.heard++]);
    pthread_mutex_unlock(&listener.lock);
    return there;
}

/* Waits for a message with these words in it; others are passed over. */
static void await_message(const char *words) {
    do
        if (!hear()) fail_msg("nobody said '%s'; the last message was:\n%s", words, listener.message);
    while (!strstr(listener.message, words));
}

/* Passes over all that was sent until now, behind which it puts a mark; how many had these words. */
static int drain(const char *words) {
    static const char mark[] = "MARK";
    int count = 0;
    assert_int_equal(speak(mark), strlen(mark));
    for (;;) {
        assert_true(hear());
        if (strcmp(listener.message, mark) == 0) return count;
        count += strstr(listener.message, words) != NULL;
    }
}

static void assert_last_has(const char *words) {
    if (!strstr(listener.message, words)) fail_msg("no '%s' in:\n%s", words, listener.message);
}

static struct server *start_supervised(const char *workers) {
    struct server *s = server_start("--supervised", "systemd", "--io-threads", workers,
                                    "--busy-reply-threshold", "10", NULL);
    await_message("READY=1");
    return s;
}

/* ---- ready and the end ---- */

static void it_says_when_it_is_ready_and_when_it_stops(void **state) {
    (void)state;
    struct server *s = start_supervised("2");
    assert_last_has("STATUS=Ready to accept connections");
    kill(server_pid(s), SIGTERM);
    await_message("STOPPING=1");
    assert_last_has("STATUS=");
    assert_last_has("EXTEND_TIMEOUT_USEC=");
    server_await_end(s);
    assert_int_equal(drain("READY=1"), 0);
    server_free(s);
}

static void without_supervision_nobody_is_told(void **state) {
    (void)state;
    struct server *s = server_start("--supervised", "no", NULL);
    server_free(s);
    assert_int_equal(drain(""), 0);
}

static void loading_is_told_with_its_progress(void **state) {
    (void)state;
    struct server *s =
        server_start("--supervised", "systemd", "--save", "1000 1000", "--key-load-delay", "100", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG POPULATE 4000 key 100", "+OK");
    client_close(c);
    server_stop(s);
    drain("");
    server_restart(s);
    await_message("STATUS=Loading the RDB file: ");
    assert_last_has("EXTEND_TIMEOUT_USEC=120000000");
    assert_last_has("WATCHDOG=1");
    int more = 0;
    do {
        assert_true(hear());
        more += strstr(listener.message, "STATUS=Loading the RDB file: ") != NULL;
    } while (!strstr(listener.message, "READY=1"));
    assert_true(more >= 2);
    server_free(s);
}

static void the_last_snapshot_is_told_and_takes_its_time(void **state) {
    (void)state;
    struct server *s =
        server_start("--supervised", "systemd", "--save", "1000 1000", "--io-threads", "1", NULL);
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG POPULATE 100000 key 1000", "+OK");
    client_close(c);
    drain("");
    kill(server_pid(s), SIGTERM);
    await_message("STATUS=Saving the final RDB snapshot");
    assert_last_has("EXTEND_TIMEOUT_USEC=120000000");
    await_message("EXTEND_TIMEOUT_USEC=120000000"); /* by the writing itself */
    assert_null(strstr(listener.message, "STOPPING=1"));
    await_message("STOPPING=1");
    server_await_end(s);
    server_free(s);
}

static void a_shutdown_that_fails_is_told(void **state) {
    (void)state;
    struct server *s = server_start("--supervised", "systemd", "--save", "1000 1000", NULL);
    await_message("READY=1");
    struct client *c = server_connect(s);
    /* A folder is in the way of the file. */
    assert_int_equal(mkdir(server_path(s, "dump.rdb"), 0700), 0);
    assert_reply(c, "SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.");
    await_message("STATUS=Ready to accept connections; a shutdown was given up");
    assert_int_equal(rmdir(server_path(s, "dump.rdb")), 0);
    client_close(c);
    server_free(s);
}

/* ---- signs of life ---- */

static void signs_of_life_come_by_themselves(void **state) {
    (void)state;
    static const char *const workers[] = { "1", "4" };
    for (size_t i = 0; i < 2; i++) {
        struct server *s = start_supervised(workers[i]);
        for (int sign = 0; sign < 4; sign++) await_message("WATCHDOG=1");
        assert_null(strstr(listener.message, "EXTEND_TIMEOUT_USEC"));
        server_free(s);
        drain("");
    }
}

static void no_signs_without_an_interval_or_for_another_process(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        if (i == 0) unsetenv("WATCHDOG_USEC");
        if (i == 1) setenv("WATCHDOG_USEC", INTERVAL_US, 1), setenv("WATCHDOG_PID", "1", 1);
        struct server *s = start_supervised("2");
        struct client *c = server_connect(s);
        assert_reply(c, "DEBUG SLEEP 0.4", "+OK"); /* eight times as long as it would take */
        assert_int_equal(drain("WATCHDOG=1"), 0);
        client_close(c);
        server_free(s);
        assert_int_equal(drain("WATCHDOG=1"), 0);
    }
}

/* SCRIPT KILL ends it when enough signs were heard: no clock decides. */
static void signs_go_on_while_a_script_does_not_end(void **state) {
    (void)state;
    static const char *const workers[] = { "1", "4" };
    for (size_t i = 0; i < 2; i++) {
        struct server *s = start_supervised(workers[i]);
        struct client *runner = server_connect(s), *c = server_connect(s);
        client_send(runner, "EVAL 'while true do end' 0");
        assert_reply_soon(c, "PING", "-BUSY ...");
        drain("");
        for (int sign = 0; sign < 10; sign++) await_message("WATCHDOG=1");
        assert_reply(c, "SCRIPT KILL", "+OK");
        assert_next(runner, "-ERR Script killed by user...");
        client_close(runner);
        client_close(c);
        server_free(s);
        drain("");
    }
}

/* With one worker nobody else could give a sign while SAVE runs. */
static void signs_go_on_while_everybody_waits_for_a_save(void **state) {
    (void)state;
    setenv("WATCHDOG_USEC", "4000", 1);
    struct server *s = start_supervised("1");
    struct client *c = server_connect(s);
    assert_reply(c, "DEBUG POPULATE 200000 key 1000", "+OK");
    drain("");
    assert_reply(c, "SAVE", "+OK");
    int signs = drain("WATCHDOG=1");
    if (signs < 5) fail_msg("only %d signs of life during SAVE", signs);
    client_close(c);
    server_free(s);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Far from its busy-reply-threshold a script keeps its worker, which is the only one, from taking turns. It
 * gets longer until ten signs would have been due. */
static void a_worker_0_that_hangs_gives_no_sign(void **state) {
    (void)state;
    struct server *s = start_supervised("1");
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG SET busy-reply-threshold 600000", "+OK");
    int64_t took_ms = 0, turns = 10000000;
    int signs = 0;
    while (took_ms < 500) {
        turns *= 2;
        drain("");
        int64_t began_ms = now_ms();
        client_send(c, "EVAL 'for i = 1, %lld do end' 0", (long long)turns);
        assert_next(c, "$-1");
        took_ms = now_ms() - began_ms;
        signs = drain("WATCHDOG=1");
    }
    /* One before it began, one at its end. */
    if (signs > 3)
        fail_msg("%d signs of life while worker 0 was away for %lld ms", signs, (long long)took_ms);
    client_close(c);
    server_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, listener_open, listener_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_says_when_it_is_ready_and_when_it_stops),
        TEST(without_supervision_nobody_is_told),
        TEST(loading_is_told_with_its_progress),
        TEST(the_last_snapshot_is_told_and_takes_its_time),
        TEST(a_shutdown_that_fails_is_told),
        TEST(signs_of_life_come_by_themselves),
        TEST(no_signs_without_an_interval_or_for_another_process),
        TEST(signs_go_on_while_a_script_does_not_end),
        TEST(signs_go_on_while_everybody_waits_for_a_save),
        TEST(a_worker_0_that_hangs_gives_no_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
