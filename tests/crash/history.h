/* history.h: what clients did to some keys and saw of them, and whether it fits servers that do one thing
 * after the other.
 *
 * A key is a register that holds a number or nothing. An operation took effect at one instant between its
 * invocation and its answer, if it was answered; if not, at any time after its invocation, or never. A key's
 * history is linearizable if there is an order of these instants in which everybody saw what was seen.
 *
 * A history may end by a cut: a replica took over, and what the old primary had not sent to it is lost. Then
 * there must be a point in that order at which the key had the value that the replica has, and everything
 * that is owed came before it. */
#ifndef TESTS_CRASH_HISTORY_H
#define TESTS_CRASH_HISTORY_H

#include "../harness/text.h"
#include <stdint.h>

#define NOTHING INT64_MIN    /* the value of a key that is not there */
#define UNANSWERED INT64_MAX /* the time of an answer that did not come */

enum op_kind {
    OP_READ,
    OP_WRITE,
    OP_ADD,  /* to the number; nothing counts as 0 */
    OP_SWAP, /* reads, and writes the argument */
    OP_CAS,  /* reads, and writes the argument if it was the expected value */
    OP_CUT   /* see above; made by history_check */
};

struct op {
    enum op_kind kind;
    bool owed; /* a cut must not lose it */
    uint32_t key, client;
    int64_t argument, expected;
    int64_t seen; /* the value before; by ADD the value after; not by WRITE */
    int64_t invoked_ns, answered_ns;
};

struct history {
    struct op *ops;
    size_t count, room;
};

void history_add(struct history *h, const struct op *op);
void history_append(struct history *to, const struct history *from);
void history_release(struct history *h);

/* How a key began and what it has now. */
struct ends {
    int64_t first;
    bool cut;     /* the history ends by one */
    int64_t last; /* after it */
};

/* Is the history of each of the keys 0 to keys - 1 linearizable? If not, `why` gets the first that is not. A
 * search that grows too long counts as a failure, and says so. Sorts the operations. */
MUST_CHECK bool history_check(struct history *h, const struct ends *ends, size_t keys, struct text *why);

/* A connection that reads a counter which only rises never sees it fall: false if it did. *floor is the most
 * that was seen, at first NOTHING. */
MUST_CHECK bool rises(int64_t *floor, int64_t seen);

#endif
