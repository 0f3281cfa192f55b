/* test_overload.c: more than the server can take: storms of new connections, and no file descriptors left. */
#include "../harness/fixture.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef TRIVET_SANITIZE
#define STORM_CONNECTIONS 150 /* of each thread */
#else
#define STORM_CONNECTIONS 1500
#endif
#define STORM_THREADS 4

static struct server *launch(const char *const *args) {
    return server_launch(&(struct server_plan){ .tcp = true, .args = args });
}

/* ---- storms ---- */

/* With one worker, each turn of its loop accepts a few at most: many turns are seen to pass. */
static void new_connections_are_accepted_in_slices(void **state) {
    (void)state;
    enum { WAITING = 300, SLICE = 5 };
    struct server *s =
        launch((const char *const[]){ "--io-threads", "1", "--max-new-connections-per-cycle", "5", NULL });
    struct client *sleeper = server_connect(s), *established = server_connect(s), *waiting[WAITING];
    assert_reply(established, "PING", "+PONG");
    client_send(sleeper, "DEBUG SLEEP 0.3"); /* time for all of them to queue up at the door */
    for (int i = 0; i < WAITING; i++) waiting[i] = server_connect_tcp(s);
    int64_t turns = info_number(established, "stats", "eventloop_cycles");
    assert_next(sleeper, "+OK");
    for (int tries = 0; info_number(established, "clients", "connected_clients") < WAITING + 2; tries++)
        assert_true(tries < 100000);
    turns = info_number(established, "stats", "eventloop_cycles") - turns;
    assert_in_range(turns, WAITING / SLICE / 2, INT32_MAX);
    for (int i = 0; i < WAITING; i++) {
        assert_reply(waiting[i], "PING", "+PONG");
        client_close(waiting[i]);
    }
    client_close(established);
    client_close(sleeper);
    server_free(s);
}

struct storm {
    pthread_t thread;
    int port;
    const char *error;
};

/* Connects, says one thing, leaves: politely or not. */
static void *blow(void *arg) {
    struct storm *storm = arg;
    for (int i = 0; i < STORM_CONNECTIONS && !storm->error; i++) {
        struct client *c = client_open_tcp("127.0.0.1", storm->port);
        if (!c) {
            storm->error = "connect";
            break;
        }
        if (i % 4 != 0 && strcmp(client_ask(c, "PING"), "+PONG") != 0) storm->error = "PING";
        if (i % 3 == 0)
            client_abandon(c);
        else
            client_close(c);
    }
    return NULL;
}

static void a_storm_of_connections_does_not_keep_clients_from_being_served(void **state) {
    (void)state;
    struct server *s = launch(NULL);
    struct client *established = server_connect(s);
    struct storm storms[STORM_THREADS];
    for (int i = 0; i < STORM_THREADS; i++) {
        storms[i] = (struct storm){ .port = server_port(s) };
        assert_int_equal(pthread_create(&storms[i].thread, NULL, blow, &storms[i]), 0);
    }
    for (int i = 1; i <= STORM_CONNECTIONS; i++) assert_int_equal(client_ask_int(established, "INCR n"), i);
    for (int i = 0; i < STORM_THREADS; i++) {
        pthread_join(storms[i].thread, NULL);
        assert_null(storms[i].error);
    }
    for (int tries = 0; info_number(established, "clients", "connected_clients") != 1; tries++)
        assert_true(tries < 100000);
    assert_int_equal(info_number(established, "stats", "rejected_connections"), 0);
    client_close(established);
    server_free(s);
}

static void the_end_in_the_middle_of_a_storm_is_clean(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct server *s = launch(NULL);
        struct client *open[300] = { 0 };
        for (int i = 0; i < 300; i++) {
            open[i] = client_open_tcp("127.0.0.1", server_port(s));
            if (!open[i]) break; /* it has gone already */
            client_queue(open[i], "SET k:%d v", i);
            client_flush(open[i]);
            if (i == 200) kill(server_pid(s), SIGTERM);
        }
        server_await_end(s); /* asks for exit status 0 and, where there is a sanitizer, no leaks */
        for (int i = 0; i < 300; i++) client_close(open[i]);
    }
}

/* ---- no file descriptors left ---- */

/* CPU time of a process in milliseconds. */
static long cpu_ms(pid_t pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    unsigned long user, system;
    assert_int_equal(
        sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
        2);
    return (long)((user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
}

static void without_file_descriptors_accepting_pauses_and_recovers(void **state) {
    (void)state;
    enum { ROOM = 20, ALL = 60 };
    struct server *s = launch(NULL);
    pid_t pid = server_pid(s);
    struct client *established = server_connect(s), *c[ALL];
    assert_reply(established, "PING", "+PONG");
    assert_info_soon(established, "clients", "connected_clients", "1");
    rlim_t room = (rlim_t)(server_open_files(s) + ROOM);
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){ room, room }, NULL), 0);
    for (int i = 0; i < ALL; i++) {
        c[i] = server_connect_tcp(s);
        client_queue(c[i], "ECHO %d", i);
        client_flush(c[i]);
    }
    server_await_log(s, "Accepting client connections pauses: Too many open files", 1);
    for (int tries = 0; info_number(established, "clients", "connected_clients") < 1 + ROOM; tries++)
        assert_true(tries < 100000); /* the last ones may still be on their way to their workers */
    assert_in_range(info_number(established, "clients", "connected_clients"), 1 + ROOM, 1 + ROOM + 2);

    /* Who is in is served as ever, and nothing spins. */
    long before = cpu_ms(pid);
    nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
    assert_in_range(cpu_ms(pid) - before, 0, 500);
    assert_reply(established, "SET k v", "+OK");

    /* Each that leaves makes room for one that waits. */
    for (int i = 0; i < ALL; i++) {
        char expected[16];
        snprintf(expected, sizeof expected, "$\"%d\"", i);
        assert_next(c[i], expected);
        client_close(c[i]);
    }
    struct client *late = server_connect_tcp(s);
    assert_reply(late, "GET k", "$\"v\"");
    client_close(late);
    client_close(established);
    server_free(s);
}

/* A script that runs the server with a lower limit of open files. */
static void write_wrapper(char path[32], int files) {
    char link[64], program[512];
    struct server *probe = launch(NULL);
    snprintf(link, sizeof link, "/proc/%d/exe", (int)server_pid(probe));
    ssize_t len = readlink(link, program, sizeof program - 1);
    assert_true(len > 0);
    program[len] = '\0';
    server_free(probe);
    strcpy(path, "/tmp/trivet-wrapper-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", files, program);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
}

static void maxclients_stays_below_the_limit_of_open_files(void **state) {
    (void)state;
    char wrapper[32];
    write_wrapper(wrapper, 200);
    struct server *s = server_launch(&(struct server_plan){ .program = wrapper });
    unlink(wrapper);
    struct client *c = server_connect(s);
    assert_reply(c, "CONFIG GET maxclients", "*[$\"maxclients\", $\"168\"]");
    server_await_log(s, "maxclients is lowered to 168", 1);
    assert_reply(c, "CONFIG SET maxclients 1000",
                 "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - ...");
    assert_reply(c, "CONFIG GET maxclients", "*[$\"maxclients\", $\"168\"]");
    assert_reply(c, "CONFIG SET maxclients 100", "+OK");
    client_close(c);
    server_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_connections_are_accepted_in_slices),
        cmocka_unit_test(a_storm_of_connections_does_not_keep_clients_from_being_served),
        cmocka_unit_test(the_end_in_the_middle_of_a_storm_is_clean),
        cmocka_unit_test(without_file_descriptors_accepting_pauses_and_recovers),
        cmocka_unit_test(maxclients_stays_below_the_limit_of_open_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
