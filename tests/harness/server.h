/* server.h: starts, stops, kills and restarts the server under test, each in a temporary folder of its own.
 *
 * The program is $TRIVET_SERVER, else trivet-server of the build that the test belongs to. A server listens
 * on a unix socket in its folder, on request also on a free TCP port of 127.0.0.1. It gets $TRIVET_IO_THREADS
 * (4) workers, no save points, and DEBUG switched on; later arguments win. Nothing outlives the test program:
 * what still runs at its end is killed, folders are removed, and if the program fails the end of every
 * server's log is printed. Fork rule: a server dies with the thread that started it, so start servers from
 * the main thread. */
#ifndef TESTS_HARNESS_SERVER_H
#define TESTS_HARNESS_SERVER_H

#include "client.h"
#include <sys/types.h>

struct server;

struct server_plan {
    const char *program;     /* NULL: the server under test */
    const char *conf;        /* contents of a config file, NULL for none */
    const char *const *args; /* ended by NULL; may be NULL itself */
    bool tcp;                /* also listen on a free port */
    int port;                /* which one; 0: any */
    bool tls;                /* also listen on a free port with TLS; `args` name the certificates */
    bool bare;               /* only what conf and args say, beside the listeners and the folder */
};

/* Starts and waits until PING is answered by something other than -LOADING. Extra arguments end with NULL:
 * server_start("--maxmemory", "1mb", NULL). */
struct server *server_start(const char *first, ...) __attribute__((sentinel));
struct server *server_launch(const struct server_plan *plan);
/* As server_launch, but returns while the server may still load: for tests of -LOADING. */
struct server *server_launch_unready(const struct server_plan *plan);
void server_await(struct server *s);
/* Runs a server that is expected to refuse to start; returns its exit status, its output goes to *log. */
int server_run_to_end(const struct server_plan *plan, struct text *log);

/* SIGTERM, then asserts a clean end: exit status 0 and no sanitizer report. The server can be restarted. */
void server_stop(struct server *s);
/* SIGKILL; returns when the process is gone. */
void server_kill(struct server *s);
/* Waits for a server that ends by itself (SHUTDOWN); asserts a clean end. */
void server_await_end(struct server *s);
/* Waits for a server that dies by a signal; returns which. */
int server_await_signal(struct server *s);
/* Waits for a server that gives up; returns its exit status, which is not 0. */
int server_await_failure(struct server *s);
/* Starts it again in the same folder with the same arguments. */
void server_restart(struct server *s);
/* Stops it if it runs, and forgets it. */
void server_free(struct server *s);

struct client *server_connect(struct server *s); /* over the unix socket */
/* As soon as it listens, though it may still load. */
struct client *server_connect_early(struct server *s);
struct client *server_connect_tcp(struct server *s); /* plan.tcp must be set */
/* The path of a file in the server's folder; valid until the next call. */
const char *server_path(struct server *s, const char *name);
const char *server_folder(const struct server *s);
int server_port(const struct server *s);
int server_tls_port(const struct server *s);
/* A port of this machine that nobody has at the moment. */
int server_free_port(void);
pid_t server_pid(const struct server *s);
/* How many descriptors it has open. */
int server_open_files(const struct server *s);
/* All it logged so far (over restarts), valid until the next call. */
const char *server_log(struct server *s);
/* Waits until the log has `needle` `times` times; fails when the patience ends. */
void server_await_log(struct server *s, const char *needle, size_t times);

#endif
