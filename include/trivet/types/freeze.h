/* freeze.h: a big value that is saved piece by piece while commands go on changing it.
 *
 * Freezing notes what the value is made of, without copying its elements. From then on two parties hand
 * elements to the visitor, each element once, as it was when the value was frozen: the walk, a few steps at a
 * time, and every change, which hands over what it is about to touch before it does. What is added later is
 * not visited. So a change costs a bounded amount more, however big the value is:
 *
 *   tables (hash, set, sorted set)  the group of buckets that the change concerns, some 30 elements, and one
 *                                   or two more when the table grows or shrinks by it. A bit a group says
 *                                   which were handed over. Elements come in any order.
 *   lists                           freezing copies the ring (16 bytes a node); a change of a node that was
 *                                   not visited yet copies that node. Elements are nodes, in order; only the
 *                                   walk hands them over.
 *   streams                         freezing copies nothing; a change of a node that was not visited yet
 *                                   copies that node, and a node that is removed stays with the freeze until
 *                                   the walk has visited it. Elements are nodes, in order; only the walk
 *                                   hands them over. The stream's numbers and groups are not part of it: who
 *                                   needs them as they were looks at them when it freezes.
 *
 * A command that removes many elements at once (SPOP with a count, LTRIM) pays so for each of them at most.
 *
 * Small forms cannot be frozen: who saves them copies them whole.
 *
 * Owner: who froze it; the value points to it until frozen_end(). Thread: every call, and every visit, under
 * the lock of the value's owner (the shard of its key), or by whoever owns the value alone by then. A frozen
 * value may not be freed (asserted) and keeps its address and its encoding, even a list that has become small
 * or is empty; a key may be renamed meanwhile. The visitor may not change the value.
 */
#ifndef TRIVET_TYPES_FREEZE_H
#define TRIVET_TYPES_FREEZE_H

#include "trivet/types/structures/id_map.h"
#include "trivet/types/value.h"
#include <stdbool.h>

/* What a visit gets; which fields say something depends on the type. */
struct frozen_element {
    struct slice name;  /* hash: the field; set, sorted set: the member */
    struct slice value; /* hash: its value; list: a node's bytes, see `plain`; stream: a node's listpack */
    struct stream_id master; /* stream: the node's first id */
    double score;            /* sorted set */
    int64_t expiry_ms;       /* hash: HASH_NO_EXPIRY, or when the field expires */
    bool plain;              /* list: the bytes are one element, not a listpack */
};
typedef void frozen_visit(void *arg, const struct frozen_element *e);

struct frozen;

/* Can this value be frozen, and is it not yet? True of the big forms of hash, set, sorted set and list, and
 * of every stream. */
bool value_can_freeze(struct value v);
/* The freeze that the value is under, or NULL. */
struct frozen *value_frozen(struct value v);

/* value_can_freeze(v) must hold. */
struct frozen *value_freeze(struct value v, frozen_visit *visit, void *arg);
/* Elements (of a list or a stream: nodes) that will be visited in all. */
size_t frozen_count(const struct frozen *f);
/* Visits what the next `steps` groups of buckets (list, stream: nodes) hold and changes have not handed over;
 * true while there are more. After it returned false every element has been visited. */
bool frozen_walk(struct frozen *f, size_t steps);
/* The value is as any other again. Frees `f`; before the walk's end, too. */
void frozen_end(struct frozen *f);
/* Bytes it holds beside the value: the bits, the ring, and those nodes that list or stream have no more. */
size_t frozen_memory(const struct frozen *f);

#endif
