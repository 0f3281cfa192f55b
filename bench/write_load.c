/* write_load.c: keeps a server busy with one command, and takes little of a processor for it.
 *
 * Usage: write_load PORT COMMANDS A_SECOND PIPELINE RANGE COMMAND [ARGUMENT...]
 *
 * Fifty connections over the loopback; each sends a pipeline of commands, and the next one when all of that
 * is answered. Each __rand_int__ becomes a number below RANGE in twelve digits, as with redis-benchmark,
 * which takes several times the processor: where a replica has to share its core, it would be what is
 * measured. A_SECOND 0: as fast as the answers come. COMMANDS 0: until SIGTERM. The answers are one line
 * each; an error ends the program. Prints how many commands a second were answered. Not part of the tests. */
#include "trivet/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 50
#define PLACE "__rand_int__"
#define DIGITS (sizeof PLACE - 1)
#define PLACES_MAX 4
#define COMMAND_MAX ((size_t)4096)
#define PIPELINE_MAX ((size_t)64 * 1024) /* bytes; an empty socket takes them at once */

static struct {
    char *bytes; /* the numbers in it are drawn anew each time */
    size_t command_len, commands;
    size_t places[PLACES_MAX]; /* of the numbers in a command */
    size_t place_count;
    uint64_t range;
} pipeline;

static struct pollfd fds[CONNECTIONS];
static size_t unanswered[CONNECTIONS]; /* commands; 0: it is idle */
static bool in_line[CONNECTIONS];      /* the beginning of an answer was read */
static size_t answered;
static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void)signal_number;
    stopped = 1;
}

static void give_up(const char *what) {
    fprintf(stderr, "write_load: %s\n", what);
    exit(1);
}

static double now_s(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t chance(void) {
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* ---- what is sent ---- */

static void note_places(const char *command) {
    for (const char *at = command; (at = strstr(at, PLACE)) != NULL; at += DIGITS) {
        if (pipeline.place_count == PLACES_MAX) give_up("too many places for numbers");
        pipeline.places[pipeline.place_count++] = (size_t)(at - command);
    }
}

static void make_pipeline(size_t commands, uint64_t range, char **argv, int argc) {
    char command[COMMAND_MAX];
    size_t len = (size_t)snprintf(command, sizeof command, "*%d\r\n", argc);
    for (int i = 0; i < argc && len < sizeof command; i++)
        len +=
            (size_t)snprintf(command + len, sizeof command - len, "$%zu\r\n%s\r\n", strlen(argv[i]), argv[i]);
    if (len >= sizeof command) give_up("the command is too long");
    if (commands == 0 || commands * len > PIPELINE_MAX) give_up("the pipeline is empty or too long");
    if (range == 0) give_up("the range of numbers is empty");
    note_places(command);
    pipeline.bytes = mem_alloc(commands * len);
    for (size_t i = 0; i < commands; i++) memcpy(pipeline.bytes + i * len, command, len);
    pipeline.command_len = len;
    pipeline.commands = commands;
    pipeline.range = range;
}

static void draw_number(char *digits) {
    uint64_t n = chance() % pipeline.range;
    for (size_t i = DIGITS; i-- > 0; n /= 10) digits[i] = (char)('0' + n % 10);
}

static void send_pipeline(size_t connection) {
    size_t len = pipeline.commands * pipeline.command_len;
    for (size_t i = 0; i < pipeline.commands; i++)
        for (size_t j = 0; j < pipeline.place_count; j++)
            draw_number(pipeline.bytes + i * pipeline.command_len + pipeline.places[j]);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fds[connection].fd, pipeline.bytes + done, len - done);
        if (n < 0) give_up(strerror(errno));
        done += (size_t)n;
    }
    unanswered[connection] = pipeline.commands;
}

/* ---- what comes back ---- */

static void read_answers(size_t connection) {
    char bytes[16384];
    ssize_t len = read(fds[connection].fd, bytes, sizeof bytes);
    if (len < 0) give_up(strerror(errno));
    if (len == 0) give_up("the server closed a connection");
    for (ssize_t i = 0; i < len; i++) {
        if (!in_line[connection] && bytes[i] == '-') give_up("the server answered an error");
        in_line[connection] = bytes[i] != '\n';
        if (in_line[connection]) continue;
        unanswered[connection]--;
        answered++;
    }
}

/* Until an answer comes or the time has come. */
static void wait_until(double due_s) {
    double left = due_s - now_s();
    if (left < 0) left = 0;
    struct timespec ts = { .tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };
    if (ppoll(fds, CONNECTIONS, &ts, NULL) <= 0) return;
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (fds[i].revents) read_answers(i);
}

/* ---- all of it ---- */

static void connect_all(const char *port) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)atoi(port));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) give_up(strerror(errno));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
}

/* Pipeline n is due at n * step_s. Sends those that are due, as far as there are idle connections; returns
 * when the next one is due, or a late time if an answer has to come first. */
static double send_due(size_t pipelines, size_t *sent, double start_s, double step_s) {
    static size_t next;
    for (size_t i = 0; i < CONNECTIONS && *sent < pipelines; i++, next = (next + 1) % CONNECTIONS) {
        double due_s = start_s + (double)*sent * step_s;
        if (step_s > 0 && due_s > now_s()) return due_s;
        if (unanswered[next]) continue;
        send_pipeline(next);
        ++*sent;
    }
    return now_s() + 1;
}

static void run(size_t pipelines, double start_s, double step_s) {
    size_t sent = 0;
    while (!stopped && (sent < pipelines || answered < sent * pipeline.commands))
        wait_until(send_due(pipelines, &sent, start_s, step_s));
}

int main(int argc, char **argv) {
    if (argc < 7) give_up("PORT COMMANDS A_SECOND PIPELINE RANGE COMMAND [ARGUMENT...]");
    size_t commands = strtoul(argv[2], NULL, 10);
    double rate = strtod(argv[3], NULL);
    make_pipeline(strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10), argv + 6, argc - 6);
    connect_all(argv[1]);
    signal(SIGTERM, stop);
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); /* or each sleep would last 50 us longer */
    double start_s = now_s();
    run(commands ? (commands + pipeline.commands - 1) / pipeline.commands : SIZE_MAX, start_s,
        rate > 0 ? (double)pipeline.commands / rate : 0);
    printf("%.0f\n", (double)answered / (now_s() - start_s));
    return 0;
}
