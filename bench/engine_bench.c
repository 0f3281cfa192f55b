/* engine_bench.c: what one, two, four, ... workers do without sockets: each thread is a worker with one
 * client without a connection, parses batches of commands as they would come over a socket, runs them, and
 * throws the replies away.
 *
 * Usage: engine_bench [--keys N] [--commands N] [--rounds N] [--only TEXT] [WORKERS...]. For each number of
 * workers (1 and 2, and 4 and 8 where there are as many cores) a process of its own holds the data, because a
 * server's workers are counted when it starts. They take turns, and the best round of each counts.
 *
 * Two figures each: millions of commands a second of the clock, and a second of processor time for each
 * worker. Where there are fewer free cores than workers, only the second one compares them; it does not see
 * when workers wait for each other, asleep. Not part of the tests. */
#include "../tests/harness/engine.h"
#include "trivet/base/clock.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/engine/watch/answers.h"
#include "trivet/keyspace/keyspace.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX 64
#define WIRE_COMMANDS (256 * 1024) /* made before a run, and gone through again and again */
#define WORKERS_LISTED 8
#define ZIPF_SKEW 0.99
#define CHANNEL "key:000000000000" /* the first key's name */

enum draw { UNIFORM, ZIPF, HOT };

struct workload {
    const char *name;
    const char *command;
    enum draw draw;
    size_t batch; /* commands in one turn */
    bool has_value, is_publish;
};

static const struct workload workloads[] = {
    { "GET, batches of 64", "GET", UNIFORM, 64, false, false },
    { "SET, batches of 64", "SET", UNIFORM, 64, true, false },
    { "GET, batches of 16", "GET", UNIFORM, 16, false, false },
    { "SET, batches of 16", "SET", UNIFORM, 16, true, false },
    { "GET, one by one", "GET", UNIFORM, 1, false, false },
    { "SET, one by one", "SET", UNIFORM, 1, true, false },
    { "GET, Zipf 0.99, batches of 64", "GET", ZIPF, 64, false, false },
    { "SET, Zipf 0.99, batches of 64", "SET", ZIPF, 64, true, false },
    { "GET, one hot key, batches of 64", "GET", HOT, 64, false, false },
    { "SET, one hot key, batches of 64", "SET", HOT, 64, true, false },
    { "PUBLISH, one hot channel, batches of 64", "PUBLISH", HOT, 64, true, true },
};

struct figures {
    double clock_ns, cpu_ns; /* from the first to the last; of all workers together */
};

static size_t key_count = 1000000, command_count = 2000000, rounds = 3;

/* ---- one worker ---- */

struct driver {
    pthread_t thread;
    int worker;
    struct client client, subscriber;
    struct args slots[BATCH_MAX];
    struct prepared prepared[BATCH_MAX];
    struct buf wire;
    uint64_t random;
    double began_ns, ended_ns, cpu_ns; /* of its last run */
};

static struct driver *drivers;
static pthread_barrier_t barrier;
static const struct workload *now_running; /* NULL: the threads end */

static uint64_t draw_random(struct driver *d) {
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    return d->random ^= d->random << 17;
}

static double clock_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void forget_output(struct client *c) { reply_sent(&c->reply, c->reply.bytes); }

/* What a worker does between two sleeps. */
static size_t turn(struct driver *d, size_t from, size_t batch) {
    static const struct parse_limits limits = { UINT32_MAX, INT32_MAX };
    gate_enter();
    int64_t began_ns = clock_ticks_ns();
    turn_now_ms = clock_wall_ms();
    size_t begin[BATCH_MAX + 1] = { from };
    for (size_t i = 0; i < batch; i++) {
        struct slice rest = slice_make(d->wire.ptr + begin[i], d->wire.len - begin[i]);
        enum parse parsed = parse_command(&d->slots[i], rest, &limits);
        assert(parsed == PARSE_READY);
        begin[i + 1] = begin[i] + d->slots[i].used;
        dispatch_prepare(d->slots[i].argv, d->slots[i].argc, &d->prepared[i]);
    }
    dispatch_prefetch(&d->client, d->prepared, batch);
    for (size_t i = 0; i < batch; i++) {
        struct slice wire = slice_make(d->wire.ptr + begin[i], begin[i + 1] - begin[i]);
        enum dispatched done = dispatch_run(&d->client, &d->slots[i], &d->prepared[i], wire);
        assert(done == DISPATCH_DONE && !d->client.reply.failed);
        args_reset(&d->slots[i]);
        gate_yield();
    }
    if (mailbox_has_letters(&worker_mailboxes[d->worker])) mailbox_drain(&worker_mailboxes[d->worker]);
    if (pubsub_has_own()) pubsub_deliver();
    forget_output(&d->client);
    forget_output(&d->subscriber);
    answers_turn_ends(began_ns);
    command_turn_ends();
    gate_leave();
    return begin[batch];
}

static void run_wire(struct driver *d, size_t commands, size_t batch) {
    size_t at = 0;
    for (size_t ran = 0; ran < commands; ran += batch) {
        at = turn(d, at, batch);
        if (at == d->wire.len) at = 0;
    }
}

/* ---- what it runs ---- */

static void add_bulk(struct buf *out, struct slice text) {
    buf_printf(out, "$%zu\r\n%.*s\r\n", text.len, SLICE_ARG(text));
}

static void add_command(struct buf *out, const struct workload *w, size_t key) {
    char text[32];
    int len = snprintf(text, sizeof text, "key:%012zu", key);
    buf_printf(out, "*%d\r\n", w->has_value ? 3 : 2);
    add_bulk(out, slice_of(w->command));
    add_bulk(out, slice_make(text, (size_t)len));
    if (!w->has_value) return;
    len = snprintf(text, sizeof text, "%031zu", key);
    add_bulk(out, slice_make(text, (size_t)len));
}

/* The sum of 1 / rank^skew over all ranks; the same for all draws. */
static double zipf_sum(void) {
    static double sum;
    static size_t summed;
    for (; summed < key_count; summed++) sum += pow((double)(summed + 1), -ZIPF_SKEW);
    return sum;
}

/* After Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (1994). Ranks are spread over
 * the keys, so that the hottest are no neighbours. */
static size_t zipf_key(struct driver *d, double sum) {
    double n = (double)key_count, alpha = 1 / (1 - ZIPF_SKEW), second = 1 + pow(0.5, ZIPF_SKEW);
    double eta = (1 - pow(2 / n, 1 - ZIPF_SKEW)) / (1 - second / sum);
    double u = (double)(draw_random(d) >> 11) / 9007199254740992.0;
    size_t rank = (size_t)(n * pow(eta * u - eta + 1, alpha));
    if (u * sum < second) rank = u * sum >= 1;
    return rank * 7919 % key_count;
}

static void make_wire(struct driver *d, const struct workload *w) {
    double sum = w->draw == ZIPF ? zipf_sum() : 0;
    buf_clear(&d->wire);
    for (size_t i = 0; i < WIRE_COMMANDS; i++) {
        size_t key = 0;
        if (w->draw == UNIFORM) key = draw_random(d) % key_count;
        if (w->draw == ZIPF) key = zipf_key(d, sum);
        add_command(&d->wire, w, key);
    }
}

static void load(struct driver *d) {
    static const struct workload set = { "", "SET", UNIFORM, 1, true, false };
    buf_clear(&d->wire);
    for (size_t i = 0; i < key_count; i++) add_command(&d->wire, &set, i);
    run_wire(d, key_count, 1);
    buf_release(&d->wire);
}

static void set_subscribed(struct driver *d, bool on) {
    gate_enter();
    if (on)
        pubsub_subscribe(&d->subscriber, PUBSUB_CHANNEL, LIT(CHANNEL));
    else
        pubsub_leave_all(&d->subscriber);
    mailbox_drain(&worker_mailboxes[d->worker]);
    forget_output(&d->subscriber);
    gate_leave();
}

/* ---- all workers ---- */

static size_t commands_each(void) {
    return command_count / (size_t)thread_worker_count / BATCH_MAX * BATCH_MAX;
}

static void take_part(struct driver *d, const struct workload *w) {
    make_wire(d, w);
    if (w->is_publish) set_subscribed(d, true);
    pthread_barrier_wait(&barrier);
    d->began_ns = clock_of(CLOCK_MONOTONIC);
    double before = clock_of(CLOCK_THREAD_CPUTIME_ID);
    run_wire(d, commands_each(), w->batch);
    d->cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID) - before;
    d->ended_ns = clock_of(CLOCK_MONOTONIC);
    pthread_barrier_wait(&barrier);
    if (w->is_publish) set_subscribed(d, false);
}

static void driver_init(struct driver *d) {
    turn_now_ms = clock_wall_ms();
    d->random = 88172645463325252ULL + (uint64_t)d->worker * 1000003;
    client_init(&d->client, CLIENT_UNIX_SOCKET);
    client_init(&d->subscriber, CLIENT_UNIX_SOCKET);
    d->client.authenticated = d->subscriber.authenticated = true;
    for (size_t i = 0; i < BATCH_MAX; i++) args_init(&d->slots[i]);
}

static void driver_release(struct driver *d) {
    gate_enter();
    mailbox_drain(&worker_mailboxes[d->worker]);
    client_release(&d->client);
    client_release(&d->subscriber);
    gate_leave();
    for (size_t i = 0; i < BATCH_MAX; i++) {
        args_release(&d->slots[i]);
        prepared_release(&d->prepared[i]);
    }
    buf_release(&d->wire);
}

static void *driver_main(void *arg) {
    struct driver *d = arg;
    engine_thread_begin(d->worker);
    driver_init(d);
    for (;;) {
        pthread_barrier_wait(&barrier);
        if (!now_running) break;
        take_part(d, now_running);
    }
    driver_release(d);
    engine_thread_end();
    return NULL;
}

static struct figures run(const struct workload *w) {
    now_running = w;
    pthread_barrier_wait(&barrier);
    take_part(&drivers[0], w);
    double first = drivers[0].began_ns, last = drivers[0].ended_ns, cpu = 0;
    for (int i = 0; i < thread_worker_count; i++) {
        const struct driver *d = &drivers[i];
        first = d->began_ns < first ? d->began_ns : first;
        last = d->ended_ns > last ? d->ended_ns : last;
        cpu += d->cpu_ns;
    }
    double commands = (double)commands_each() * thread_worker_count;
    return (struct figures){ (last - first) / commands, cpu / commands };
}

/* ---- a process for each number of workers ---- */

struct team {
    int workers, ask, answer; /* numbers of workloads go one way, figures come back */
    pid_t pid;
};

static NORETURN void give_up(const char *what) {
    fprintf(stderr, "engine_bench: %s\n", what);
    exit(1);
}

static void no_output(struct client *c) { (void)c; }
static void no_close(struct client *c, const char *why) {
    (void)c, (void)why, give_up("a client was closed");
}
static void no_timer(struct client *c, int64_t in_ms) { (void)c, (void)in_ms; }

static void serve(int workers, int ask, int answer) {
    const struct client_hooks hooks = {
        .output = no_output, .close = no_close, .resume = no_output, .timer = no_timer
    };
    if (!engine_start(workers, &hooks)) give_up("the server does not start");
    drivers = calloc((size_t)workers, sizeof *drivers);
    pthread_barrier_init(&barrier, NULL, (unsigned)workers);
    driver_init(&drivers[0]);
    load(&drivers[0]);
    for (int i = 1; i < workers; i++) {
        drivers[i].worker = i;
        if (!thread_start(&drivers[i].thread, "driver", driver_main, &drivers[i])) give_up("no thread left");
    }
    for (uint8_t wanted; read(ask, &wanted, 1) == 1;) {
        struct figures f = run(&workloads[wanted]);
        if (write(answer, &f, sizeof f) != sizeof f) give_up("nobody listens");
    }
    now_running = NULL;
    pthread_barrier_wait(&barrier);
    for (int i = 1; i < workers; i++) pthread_join(drivers[i].thread, NULL);
    driver_release(&drivers[0]);
    free(drivers);
    if (!engine_stop()) give_up("the server does not end");
}

/* `before`: those that were started before, whose pipes are not to be held open here. */
static void team_start(struct team *t, int workers, const struct team *before, size_t count) {
    int ask[2], answer[2];
    if (pipe2(ask, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0) give_up("no pipe");
    t->workers = workers;
    t->pid = fork();
    if (t->pid < 0) give_up("cannot fork");
    if (t->pid == 0) {
        close(ask[1]);
        for (size_t i = 0; i < count; i++) close(before[i].ask);
        serve(workers, ask[0], answer[1]);
        exit(0);
    }
    close(ask[0]);
    close(answer[1]);
    t->ask = ask[1];
    t->answer = answer[0];
}

static void team_end(struct team *t) {
    int status;
    close(t->ask);
    if (waitpid(t->pid, &status, 0) != t->pid || status != 0) give_up("a team did not end well");
}

static struct figures ask(const struct team *t, size_t workload) {
    uint8_t wanted = (uint8_t)workload;
    struct figures f;
    if (write(t->ask, &wanted, 1) != 1 || read(t->answer, &f, sizeof f) != sizeof f)
        give_up("a team is gone");
    return f;
}

static void keep_best(struct figures *best, struct figures f) {
    if (f.clock_ns < best->clock_ns) best->clock_ns = f.clock_ns;
    if (f.cpu_ns < best->cpu_ns) best->cpu_ns = f.cpu_ns;
}

static void compare(const struct team *teams, size_t count, size_t workload) {
    struct figures best[WORKERS_LISTED];
    for (size_t i = 0; i < count; i++) best[i] = (struct figures){ INFINITY, INFINITY };
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) keep_best(&best[i], ask(&teams[i], workload));
    printf("%-42s", workloads[workload].name);
    for (size_t i = 0; i < count; i++) {
        double all = teams[i].workers / best[i].cpu_ns; /* if each of them had a core */
        printf("  %6.2f %6.2f", 1e3 / best[i].clock_ns, 1e3 * all);
        if (i > 0) printf(" %5.2f %5.2f", best[0].clock_ns / best[i].clock_ns, all * best[0].cpu_ns);
    }
    printf("\n");
    fflush(stdout);
}

static void print_head(const struct team *teams, size_t count) {
    printf("%-42s", "Millions of commands a second: of the clock,");
    for (size_t i = 0; i < count; i++) {
        printf("  %4d worker%s", teams[i].workers, teams[i].workers > 1 ? "s" : " ");
        if (i > 0) printf(" %11s", "times");
    }
    printf("\n%-42s\n", "of processor time as if each had a core");
}

static size_t number(const char *text) {
    long n = text ? atol(text) : 0;
    if (n <= 0) give_up("see the head of its source for the usage");
    return (size_t)n;
}

/* Returns how many numbers of workers there are. */
static size_t read_options(char **argv, int workers[WORKERS_LISTED], const char **only) {
    size_t count = 0;
    for (char **at = argv + 1; *at; at++) {
        if (strcmp(*at, "--keys") == 0) {
            key_count = number(*++at);
        } else if (strcmp(*at, "--commands") == 0) {
            command_count = number(*++at);
        } else if (strcmp(*at, "--rounds") == 0) {
            rounds = number(*++at);
        } else if (strcmp(*at, "--only") == 0 && at[1]) {
            *only = *++at;
        } else {
            if (count == WORKERS_LISTED) give_up("too many numbers of workers");
            workers[count++] = (int)number(*at);
        }
    }
    return count;
}

int main(int argc, char **argv) {
    struct team teams[WORKERS_LISTED];
    int workers[WORKERS_LISTED];
    const char *only = "";
    (void)argc;
    size_t count = read_options(argv, workers, &only);
    if (count == 0)
        for (int i = 1; i <= 2 || (i <= 8 && i <= sysconf(_SC_NPROCESSORS_ONLN)); i *= 2)
            workers[count++] = i;
    for (size_t i = 0; i < count; i++) team_start(&teams[i], workers[i], teams, i);
    print_head(teams, count);
    for (size_t i = 0; i < COUNT_OF(workloads); i++)
        if (strstr(workloads[i].name, only)) compare(teams, count, i);
    for (size_t i = 0; i < count; i++) team_end(&teams[i]);
}
