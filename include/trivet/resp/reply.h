/* reply.h: writes RESP2 or RESP3 replies into a chain of chunks that goes out with writev.
 *
 * A command calls reply_*; the connection takes the bytes with reply_vectors() and drops what was sent with
 * reply_sent(). Small output lands in 16 KiB chunks; a big string or a published message is queued as a
 * reference to its blob and never copied. An idle struct reply owns no memory.
 * Source of the formats: the public RESP2 and RESP3 specifications.
 *
 * Thread: the owner of the connection. Sizes are bytes. */
#ifndef TRIVET_RESP_REPLY_H
#define TRIVET_RESP_REPLY_H

#include "trivet/base/blob.h"
#include "trivet/base/chain.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdint.h>
#include <sys/uio.h>

#define REPLY_CHUNK (16 * 1024) /* usable size of a chunk, header included */
#define REPLY_SHARE (16 * 1024) /* blobs from here on are queued by reference */
#define REPLY_SHARE_MANY 512    /* the same for bytes that many replies get */
#define REPLY_SHARE_FIRST 64    /* the same where nothing else waits yet */

struct chunk; /* src/resp/chunk.h */

struct reply {
    struct chain chain; /* of struct chunk */
    size_t sent;        /* bytes of the first chunk that are sent already */
    size_t bytes;       /* bytes waiting in all chunks */
    size_t memory;      /* bytes the chain holds, shared blobs counted whole */
    size_t shared;      /* of them in shared blobs */
    size_t memory_max;  /* 0, or it takes no more once `memory` is above: see reply_set_max */
    uint64_t total;     /* bytes ever queued; the dispatcher sees a reply's size by the difference */
    uint32_t chunks;    /* length of the chain */
    uint8_t protocol;   /* 2 or 3 */
    bool muted;         /* CLIENT REPLY OFF or SKIP, or full: all writes are dropped */
    bool full;   /* it went past memory_max: its bytes are cut off somewhere, so close the connection */
    bool failed; /* an error was written since the flag was cleared: for statistics and EXEC */
    bool error_counted;     /* it is in the statistics already */
    char error_code[32];    /* first word of that error, NUL-terminated: "ERR", "WRONGTYPE" */
    struct buf *error_text; /* NULL, or the texts of errors are appended there too, muted or not; borrowed */
};

void reply_init(struct reply *r, uint8_t protocol);
void reply_release(struct reply *r);
/* Blocks of memory that the replies of all threads took and gave back so far: how many times replies grew and
 * shrank. Any thread. */
struct reply_blocks {
    uint64_t taken, returned;
};
struct reply_blocks reply_blocks_sum(void);
void reply_blocks_reset(void); /* CONFIG RESETSTAT */
/* Frees the chunks this thread keeps for its next replies: at the end of a thread. */
void reply_thread_release(void);
static inline bool reply_is_empty(const struct reply *r) { return r->bytes == 0; }
/* True if writes are dropped now: a command that only replies may stop. */
static inline bool reply_takes_nothing(const struct reply *r) { return r->muted; }
/* Bounds the chain's memory; 0 lifts the bound. The write that goes past it is the last one that is kept:
 * from then on the reply is muted, and `full` tells why. */
static inline void reply_set_max(struct reply *r, size_t max) { r->memory_max = max; }

/* The chain as CLIENT LIST shows it: a first block of text, and the rest. */
struct reply_shape {
    size_t first_size, first_bytes; /* memory and waiting bytes of the first block; 0 if there is none */
    uint32_t rest_blocks;
    size_t rest_memory;
};
struct reply_shape reply_shape(const struct reply *r);

/* Output: at most `max` vectors of what waits; then say how many bytes went out. */
int reply_vectors(const struct reply *r, struct iovec *out, int max);
void reply_sent(struct reply *r, size_t count);
/* Moves everything of `from` to the end of `r`; nothing of `from` may have been sent. `from` is empty after.
 * If `r` is muted the bytes are dropped. The flags of neither change. */
void reply_move(struct reply *r, struct reply *from);

/* Raw protocol bytes. */
void reply_raw(struct reply *r, struct slice wire);
void reply_raw_blob(struct reply *r, struct blob *shared); /* takes a reference of its own if it shares */
/* The same for bytes that other replies get too: then they are in the processor's cache, and what costs is a
 * place to copy them to. */
void reply_raw_shared(struct reply *r, struct blob *shared);

/* Values. Where RESP2 lacks a type, the form is Valkey's (a map is a flat array, true is :1, ...). */
void reply_ok(struct reply *r);
void reply_simple(struct reply *r, struct slice text); /* +text */
void reply_int(struct reply *r, int64_t n);
void reply_bulk(struct reply *r, struct slice text);        /* copies the bytes */
void reply_bulk_blob(struct reply *r, struct blob *shared); /* shares from REPLY_SHARE bytes on */
void reply_bulk_int(struct reply *r, int64_t n);            /* the number as a bulk string */
void reply_bulk_printf(struct reply *r, const char *format, ...) PRINTF_LIKE(2, 3);
void reply_null(struct reply *r);             /* $-1, or _ in RESP3 */
void reply_null_array(struct reply *r);       /* *-1, or _ */
void reply_double(struct reply *r, double n); /* bulk text, or ,n */
void reply_bool(struct reply *r, bool yes);   /* :1 :0, or #t #f */
void reply_big_number(struct reply *r, struct slice digits);
void reply_verbatim(struct reply *r, const char format[3], struct slice text); /* bulk, or =len\r\ntxt:... */
void reply_array(struct reply *r, size_t count);
void reply_map(struct reply *r, size_t pairs);       /* *2n, or %n */
void reply_set(struct reply *r, size_t count);       /* *n, or ~n */
void reply_push(struct reply *r, size_t count);      /* *n, or >n */
void reply_attribute(struct reply *r, size_t pairs); /* nothing in RESP2: leave out the pairs too */

/* A header whose count is known later: `at = reply_later(r)`, elements, `reply_later_array(r, at, n)`. They
 * nest. Nothing may be sent or moved while one is open. `at` is NULL if muted; pass it on all the same. */
struct chunk *reply_later(struct reply *r);
void reply_later_array(struct reply *r, struct chunk *at, size_t count);
void reply_later_map(struct reply *r, struct chunk *at, size_t pairs);
void reply_later_set(struct reply *r, struct chunk *at, size_t count);

/* Errors. The named ones are those that many commands share (texts in reply_error.c); others are written as
 * text. All set `failed` and `error_code`, in a muted reply too. */
enum error {
    ERR_SYNTAX,
    ERR_NOT_INT,
    ERR_NOT_FLOAT,
    ERR_OUT_OF_RANGE, /* "value is out of range" */
    ERR_WRONGTYPE,
    ERR_NO_KEY,
    ERR_SAME_OBJECT,
    ERR_DB_RANGE,
    ERR_NOT_POSITIVE, /* "value is out of range, must be positive" */
    ERR_NOAUTH,
    ERR_LOADING,
    ERR_OOM,
    ERR_EXECABORT,
    ERR_NOT_BIT,  /* SETBIT's "bit is not an integer or out of range" */
    ERR_OVERFLOW, /* "increment or decrement would overflow" */
    ERR_NAN,      /* INCRBYFLOAT's "increment would produce NaN or Infinity" */
    ERR_INDEX,    /* "index out of range" */
    ERR_TIMEOUT_NEGATIVE,
    ERR_CURSOR,
    ERR_TOO_LONG, /* above proto-max-bulk-len */
    ERR_COUNT
};
void reply_error(struct reply *r, enum error e);
/* Its text, code first, without '-'. */
struct slice error_text(enum error e);
/* `text` begins with the code ("ERR ...", "WRONGPASS ..."). Line ends inside become spaces. */
void reply_error_text(struct reply *r, struct slice text);
void reply_error_printf(struct reply *r, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
