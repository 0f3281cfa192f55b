/* fixture.h: a server of one worker inside the test: its turns are run by hand, its clients are the other
 * ends of socket pairs. Each test file includes it once. */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

#include "trivet/base/mem.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/net/conn.h"
#include "trivet/net/listener.h"
#include "trivet/net/worker.h"
#include "trivet/server/setup.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HELP __attribute__((unused)) static

HELP int fixture_begin(void **state) {
    (void)state;
    options_init();
    thread_worker_index = 0;
    thread_worker_count = 1;
    assert_true(setup_modules());
    if (!workers_start()) return -1;
    obstacle_set(OBSTACLE_LOADING, false);
    return 0;
}

HELP int fixture_end(void **state) {
    (void)state;
    workers_stop();
    workers_run();
    workers_end();
    bool ended = setup_end();
    options_release();
    return ended ? 0 : -1;
}

struct arrival {
    struct letter letter;
    int fd;
};

HELP void fixture_arrive(struct letter *self) {
    struct arrival *a = CONTAINER_OF(self, struct arrival, letter);
    listeners_count_client(0, +1);
    assert_non_null(conn_open((struct socket){ .fd = a->fd }, LISTEN_UNIX));
    mem_free(a);
}

/* The worker takes over `fd` as a connection in its next turn. */
HELP void fixture_offer(int fd) {
    struct arrival *a = mem_alloc(sizeof *a);
    *a = (struct arrival){ .letter = { .run = fixture_arrive }, .fd = fd };
    worker_post(0, &a->letter);
}

HELP void fixture_adopt(int fd) {
    fixture_offer(fd);
    workers_pump();
}

/* A new connection; returns the client's end. */
HELP int fixture_connect(void) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    fixture_adopt(fds[1]);
    return fds[0];
}

/* Runs turns until the worker has nothing to do. */
HELP void fixture_settle(void) {
    for (int i = 0; i < 20; i++) workers_pump();
}

/* Without a turn. */
HELP void fixture_send(int fd, const char *bytes) {
    size_t len = strlen(bytes);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

HELP void fixture_say(int fd, const char *bytes) {
    fixture_send(fd, bytes);
    fixture_settle();
}

/* All that has come back so far; "<end>" stands for the end of the connection. */
HELP const char *fixture_hear(int fd) {
    static char heard[1 << 18];
    size_t len = 0;
    ssize_t got;
    while ((got = recv(fd, heard + len, sizeof heard - len - 8, 0)) > 0) {
        len += (size_t)got;
        fixture_settle();
    }
    heard[len] = '\0';
    if (got == 0) strcat(heard, "<end>");
    return heard;
}

#endif
