/* wire.h: one end of a replication link, spoken by hand: bytes and lines as they are, for tests that are a
 * replica, or a primary, which may lie.
 *
 * What does not come within the patience fails the test. Thread: the test's. */
#ifndef TESTS_HARNESS_WIRE_H
#define TESTS_HARNESS_WIRE_H

#include "server.h"
#include <stdint.h>

#define WIRE_PATIENCE_MS 60000

struct wire;

struct wire *wire_connect(int port);
void wire_close(struct wire *w); /* may be NULL */
/* Ends what is sent, and closes when the other side has done so: it has read everything then. A close alone
 * may become a reset, if something came that was not read, and takes away what was sent. */
void wire_finish(struct wire *w);
/* With a reset. */
void wire_abandon(struct wire *w);

/* ---- sending ---- */

void wire_send(struct wire *w, const void *bytes, size_t len);
void wire_say(struct wire *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* An array of bulk strings, split as by redis-cli. */
void wire_tell(struct wire *w, const char *format, ...) PRINTF_LIKE(2, 3);
/* REPLCONF ACK, now and again and again while something is waited for: a primary that is still busy with the
 * transfer passes over the first ones. */
void wire_acknowledge(struct wire *w, int64_t offset);
/* What is sent from now on waits until this is switched off, and goes as one then: the other side reads it at
 * once, if it is short. */
void wire_send_together(struct wire *w, bool on);
/* From now on each byte goes by itself. */
void wire_send_singly(struct wire *w);

/* ---- reading ---- */

/* The next line without its end, which is "\r\n"; valid until the next call. */
const char *wire_line(struct wire *w);
/* How many newlines stand before anything else; waits for that. */
size_t wire_newlines(struct wire *w);
void wire_take(struct wire *w, size_t len, struct text *out);
/* The next command, its words joined by spaces. An empty inline one, a sign of life, is passed over. NULL
 * when the link has ended. */
const char *wire_next(struct wire *w);
/* Has a byte come that was not read? Does not wait. */
bool wire_has_more(struct wire *w);
/* Bytes read since the beginning. */
uint64_t wire_taken(const struct wire *w);
/* The other side closes; what still comes is dropped. */
void wire_await_end(struct wire *w);
/* The other side closes, and nothing comes before. */
void wire_expect_end(struct wire *w);

/* ---- a replica ---- */

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

/* A replica that tells this port, got all data by way of the disk and is online, though it has read nothing
 * and acknowledges nothing by itself. The server must have a TCP port. */
struct wire *wire_join(struct server *primary, int listening_port);
/* An online replica that goes on with the stream from its present end, over the unix socket. The primary must
 * have a history, see replication_open_backlog(). */
struct wire *wire_continue(struct server *primary);

/* ---- a primary ---- */

struct wire_listener;

/* Listens on a free port. */
struct wire_listener *wire_listen(void);
void wire_listener_close(struct wire_listener *l); /* may be NULL */
int wire_port(const struct wire_listener *l);
/* Waits for the next connection. */
struct wire *wire_accept(struct wire_listener *l);
/* Answers everything up to PSYNC as it should; returns its words ("PSYNC ? -1"), valid until the next
 * call; NULL if the link ended. */
const char *wire_handshake(struct wire *w);
/* Waits for a replica and its PSYNC. */
struct wire *wire_accept_psync(struct wire_listener *l, struct text *psync);

#define WIRE_ID "0123456789abcdef0123456789abcdef01234567"
#define WIRE_RDB_EMPTY LIT("REDIS0010\xff\0\0\0\0\0\0\0\0")

/* "+FULLRESYNC <id> <offset>", and this file by its length. */
void wire_send_fullresync(struct wire *w, const char *id, int64_t offset, struct slice rdb);
void wire_send_rdb(struct wire *w, struct slice rdb); /* "$<length>", and the file */
/* The next command must be REPLCONF ACK with this offset. */
void wire_await_ack(struct wire *w, int64_t offset);
/* Waits for a replica, gives it no data, and returns when it is in the stream, at `offset` of WIRE_ID. */
struct wire *wire_feed(struct wire_listener *l, int64_t offset);

#endif
