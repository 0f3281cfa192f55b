/* chunk.h: the chain of chunks inside struct reply; private to src/resp.
 *
 * Three sorts of chunk, told apart by their fields:
 *   text      owns `room` bytes of space; only the last chunk of a chain grows
 *   shared    blob is set: holds one reference to it, room == len, and no bytes of its own
 *   open      room == 0: the place of a header that reply_later_* will write; becomes text then
 * A writer asks reply_space() for room, writes forward, and tells reply_wrote() where it stopped. */
#ifndef RESP_CHUNK_H
#define RESP_CHUNK_H

#include "trivet/resp/reply.h"

struct chunk {
    struct chain_link in_chain; /* first, so that the last chunk of a chain is found without arithmetic */
    struct blob *blob;          /* NULL, or where the bytes are */
    size_t len;                 /* bytes to send */
    size_t room;                /* bytes that fit */
    size_t size;                /* what it counts in reply.memory */
    char bytes[];
};

static inline struct chunk *chunk_first(const struct reply *r) {
    return CHAIN_FIRST(&r->chain, struct chunk, in_chain);
}
static inline struct chunk *chunk_last(const struct reply *r) {
    return CHAIN_LAST(&r->chain, struct chunk, in_chain);
}
static inline struct chunk *chunk_next(const struct chunk *c) {
    return CHAIN_NEXT(c, struct chunk, in_chain);
}

#define CHUNK_FULL_ROOM (REPLY_CHUNK - sizeof(struct chunk))
#define CHUNK_FIRST 1024                              /* size of the first one where no full one is at hand */
#define CHUNK_SMALL_ROOM (512 - sizeof(struct chunk)) /* used after a chunk that cannot grow */
#define LENGTH_LINE_MAX 24                            /* mark, 20 digits, CR LF */

/* A new last chunk with room for at least `need` bytes; returns where they go. */
char *chunk_add_text(struct reply *r, size_t need);
/* Takes over one reference. */
void chunk_add_shared(struct reply *r, struct blob *owned);
struct chunk *chunk_add_open(struct reply *r);
/* Writes the header of an open chunk, and joins it with its neighbours where they have room. */
void chunk_close(struct reply *r, struct chunk *open, struct slice header);

/* Where `need` bytes in one piece may be written now, or NULL if the reply is muted. */
static inline char *reply_space(struct reply *r, size_t need) {
    if (UNLIKELY(r->muted)) return NULL;
    struct chunk *c = chunk_last(r);
    if (LIKELY(c && c->room - c->len >= need)) return c->bytes + c->len;
    return chunk_add_text(r, need);
}

/* All up to `end` is written. */
static inline void reply_wrote(struct reply *r, const char *end) {
    struct chunk *c = chunk_last(r);
    size_t count = (size_t)(end - (c->bytes + c->len));
    c->len += count;
    r->bytes += count;
    r->total += count;
}

#endif
