/* pubsub_load.c: subscribers that read, and one publisher; takes little of a processor for it.
 *
 * Usage: pubsub_load ADDRESS KIND PROTOCOL SUBSCRIBERS CHANNELS BYTES PIPELINE MESSAGES
 *
 * ADDRESS is the path of a unix socket, or a port of the loopback. KIND: channel, pattern (one that only fits
 * its channel) or shard. PROTOCOL: 2 or 3. Subscriber i has one subscription, to channel i modulo CHANNELS.
 * The publisher goes round the channels with messages of so many bytes, and sends the next pipeline when the
 * last one was answered and every subscriber has read what it should get: so nothing piles up. All messages
 * are of one length on the wire, so bytes are all that is counted. A byte or a receiver too few or too many
 * ends the program with an error. Prints how many messages were delivered. Not part of the tests. */
#include "trivet/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EVENTS 256
#define SILENCE_MS 10000 /* after so long something is lost */

static const struct kind {
    const char *name, *subscribe, *publish, *suffix, *word;
    int parts;
} kinds[] = {
    { "channel", "SUBSCRIBE", "PUBLISH", "", "message", 3 },
    { "pattern", "PSUBSCRIBE", "PUBLISH", "*", "pmessage", 4 },
    { "shard", "SSUBSCRIBE", "SPUBLISH", "", "smessage", 3 },
};

static const struct kind *kind;
static const char *address;
static int protocol, poll_fd, publisher;
static size_t subscribers, channels, message_len, pipeline;
static size_t wire_len;           /* of one message at its subscriber */
static uint64_t received;         /* bytes of messages, by all subscribers */
static uint64_t answers, hearers; /* of the publisher: how many, and their sum */
static char *text;                /* of the messages */

static void give_up(const char *what) {
    fprintf(stderr, "pubsub_load: %s\n", what);
    exit(1);
}

static size_t number(const char *word) {
    char *end;
    unsigned long long n = strtoull(word, &end, 10);
    if (*end != '\0' || n == 0) give_up("the numbers have to be above 0");
    return (size_t)n;
}

/* ---- connections ---- */

static int connect_one(void) {
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    struct sockaddr_in port = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool is_path = address[0] == '/';
    const struct sockaddr *to = is_path ? (const void *)&path : (const void *)&port;
    if (is_path && strlen(address) >= sizeof path.sun_path) give_up("the path is too long");
    if (is_path) strcpy(path.sun_path, address);
    port.sin_port = htons((uint16_t)atoi(address));
    int fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM, 0), yes = 1;
    if (fd < 0 || connect(fd, to, is_path ? sizeof path : sizeof port) != 0) give_up(strerror(errno));
    if (!is_path) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (n < 0) give_up(strerror(errno));
        done += (size_t)n;
    }
}

/* Reads until the bytes end in `end`. Whatever came is in `bytes`. */
static void read_until(int fd, const char *end, char *bytes, size_t room) {
    size_t len = 0, end_len = strlen(end);
    while (len < end_len || memcmp(bytes + len - end_len, end, end_len) != 0) {
        ssize_t n = read(fd, bytes + len, room - len);
        if (n <= 0) give_up("a subscriber was not let in");
        len += (size_t)n;
    }
}

static size_t channel_name(char out[64], size_t i) {
    return (size_t)snprintf(out, 64, "channel:%06zu", i % channels);
}

static void watch(int fd) {
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) give_up(strerror(errno));
}

static void add_subscriber(size_t i) {
    char line[256], name[64], answer[4096];
    int fd = connect_one();
    if (protocol == 3) {
        send_all(fd, "HELLO 3\r\nPING\r\n", 15);
        read_until(fd, "+PONG\r\n", answer, sizeof answer);
    }
    channel_name(name, i);
    int len = snprintf(line, sizeof line, "%s %s%s\r\n", kind->subscribe, name, kind->suffix);
    send_all(fd, line, (size_t)len);
    read_until(fd, ":1\r\n", answer, sizeof answer);
    watch(fd);
}

static void measure_wire(void) {
    char name[64];
    size_t len = channel_name(name, 0);
    wire_len = (size_t)snprintf(NULL, 0, "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", kind->parts,
                                strlen(kind->word), kind->word, len, name, message_len, text);
    size_t pattern = len + strlen(kind->suffix);
    if (kind->parts == 4) wire_len += (size_t)snprintf(NULL, 0, "$%zu\r\n\r\n", pattern) + pattern;
}

/* ---- messages ---- */

static size_t hearers_of(size_t channel) {
    return subscribers / channels + (channel < subscribers % channels);
}

/* Sends `count` of them, the first of which is number `first`; returns how many subscribers they have. */
static size_t publish(size_t first, size_t count) {
    static char *bytes;
    size_t room = count * (message_len + 256), len = 0, sum = 0;
    bytes = mem_realloc(bytes, room);
    for (size_t i = first; i < first + count; i++) {
        char name[64];
        size_t name_len = channel_name(name, i);
        len += (size_t)snprintf(bytes + len, room - len, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                                strlen(kind->publish), kind->publish, name_len, name, message_len, text);
        sum += hearers_of(i % channels);
    }
    send_all(publisher, bytes, len);
    return sum;
}

static void read_answers(const char *bytes, size_t len) {
    static uint64_t n;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '-') give_up("the server answered an error");
        if (bytes[i] >= '0' && bytes[i] <= '9') n = n * 10 + (uint64_t)(bytes[i] - '0');
        if (bytes[i] != '\n') continue;
        hearers += n;
        answers++;
        n = 0;
    }
}

static void read_some(int fd) {
    static char bytes[256 * 1024];
    ssize_t len = read(fd, bytes, sizeof bytes);
    if (len <= 0) give_up("the server closed a connection");
    if (fd == publisher)
        read_answers(bytes, (size_t)len);
    else
        received += (uint64_t)len;
}

static void run(size_t messages) {
    uint64_t expected = 0;
    for (size_t sent = 0; sent < messages; sent += pipeline) {
        expected += publish(sent, pipeline);
        while (answers < sent + pipeline || received < expected * wire_len) {
            struct epoll_event events[EVENTS];
            int count = epoll_wait(poll_fd, events, EVENTS, SILENCE_MS);
            if (count <= 0) give_up("something is lost");
            for (int i = 0; i < count; i++) read_some(events[i].data.fd);
        }
        if (received != expected * wire_len || hearers != expected) give_up("the numbers do not agree");
    }
    printf("%llu\n", (unsigned long long)expected);
}

int main(int argc, char **argv) {
    if (argc != 9) give_up("ADDRESS KIND PROTOCOL SUBSCRIBERS CHANNELS BYTES PIPELINE MESSAGES");
    address = argv[1];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, argv[2]) == 0) kind = &kinds[i];
    if (!kind) give_up("KIND is channel, pattern or shard");
    protocol = atoi(argv[3]);
    subscribers = number(argv[4]);
    channels = number(argv[5]);
    message_len = number(argv[6]);
    pipeline = number(argv[7]);
    text = mem_alloc(message_len + 1);
    memset(text, 'x', message_len);
    text[message_len] = '\0';
    measure_wire();
    struct rlimit files = { subscribers + 64, subscribers + 64 };
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) give_up(strerror(errno));
    poll_fd = epoll_create1(0);
    publisher = connect_one();
    watch(publisher);
    for (size_t i = 0; i < subscribers; i++) add_subscriber(i);
    run(number(argv[8]));
    return 0;
}
