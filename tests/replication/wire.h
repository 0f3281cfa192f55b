/* wire.h: one end of a replication link, spoken by hand: bytes and lines as they are, for tests that are a
 * replica, or a primary that lies.
 *
 * What does not come within the patience fails the test. Thread: the test's. */
#ifndef TESTS_REPLICATION_WIRE_H
#define TESTS_REPLICATION_WIRE_H

#include "../harness/text.h"
#include <stdint.h>

#define WIRE_PATIENCE_MS 30000

struct wire;

struct wire *wire_connect(int port);
void wire_close(struct wire *w); /* may be NULL */
/* Ends what is sent, and closes when the other side has done so: it has read everything then. A close alone
 * may become a reset, if something came that was not read, and takes away what was sent. */
void wire_finish(struct wire *w);
/* With a reset. */
void wire_abandon(struct wire *w);

void wire_send(struct wire *w, const void *bytes, size_t len);
void wire_say(struct wire *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* An array of bulk strings, split as by redis-cli. */
void wire_tell(struct wire *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* REPLCONF ACK, now and again and again while something is waited for: a primary that is still busy with the
 * transfer passes over the first ones. */
void wire_acknowledge(struct wire *w, int64_t offset);
/* From now on each byte goes by itself. */
void wire_send_singly(struct wire *w);

/* The next line without its end, which is "\r\n"; valid until the next call. */
const char *wire_line(struct wire *w);
/* How many newlines stand before anything else; waits for that. */
size_t wire_newlines(struct wire *w);
void wire_take(struct wire *w, size_t len, struct text *out);
/* The next command, its words joined by spaces. An empty inline one, a sign of life, is passed over. NULL
 * when the link has ended. */
const char *wire_next(struct wire *w);
/* Bytes read since the beginning. */
uint64_t wire_taken(const struct wire *w);
/* The other side closes; what still comes is dropped. */
void wire_await_end(struct wire *w);

/* "+FULLRESYNC <id> <offset>", and then the transfer in the form that was asked for. */
struct wire_sync {
    char id[41];
    int64_t offset;
    bool by_mark; /* $EOF:<mark>, not $<length> */
    struct text rdb;
};

void wire_read_fullresync(struct wire *w, struct wire_sync *sync);
void wire_read_rdb(struct wire *w, struct wire_sync *sync);
void wire_sync_release(struct wire_sync *sync);

/* ---- the other side ---- */

struct liar;

/* Listens on a free port. */
struct liar *liar_open(void);
void liar_close(struct liar *l);
int liar_port(const struct liar *l);
/* Waits for the next connection. */
struct wire *liar_accept(struct liar *l);
/* Answers everything up to PSYNC as it should; returns its words ("PSYNC ? -1"), valid until the next
 * call; NULL if the link ended. */
const char *liar_handshake(struct wire *w);
/* Waits for a replica and its PSYNC. */
struct wire *liar_await_psync(struct liar *l, struct text *psync);

#endif
