/* node.h: one reply as a tree, read from RESP2 or RESP3 bytes, and its compact text for comparisons:
 *
 *   +OK   -ERR text   :1   $"text"   $-1   *[a, b]   *-1   %{k: v}   ~[a]   >[a, b]   ,1.5   #t   _
 *   (123 a big number   ="txt:text" verbatim   !"ERR text" a bulk error   |{k: v} before what it describes
 *
 * A node owns its bytes and items; node_free() frees the whole tree. */
#ifndef TESTS_HARNESS_NODE_H
#define TESTS_HARNESS_NODE_H

#include "text.h"
#include <stdint.h>

struct node {
    char kind;           /* the type byte on the wire */
    bool null;           /* $-1 or *-1 */
    struct text bytes;   /* text of + - $ = ! and of the numbers , ( # */
    int64_t number;      /* of a : */
    struct node **items; /* of * ~ > and, keys and values in turn, of % and | */
    size_t count;
    struct node *described; /* of |: the reply that the attributes describe */
};

enum node_result { NODE_MORE, NODE_READY, NODE_BROKEN };

/* Reads one reply from the front of `bytes`. READY: *out is the caller's and *used says how many bytes it
 * took. */
MUST_CHECK enum node_result node_parse(struct slice bytes, struct node **out, size_t *used);
void node_free(struct node *n);
void node_describe(const struct node *n, struct text *out);
/* Orders the items of an array or set by their text: for replies without an order of their own. */
void node_sort(struct node *n);
/* The same of maps too, and at any depth. */
void node_sort_deep(struct node *n);
/* Removes what stands under these names, ended by NULL, in a reply of names and values and in all inside it.
 */
void node_drop_fields(struct node *n, const char *const *names);
bool node_is_error(const struct node *n);
/* The value of `key` in a map or a flat array of keys and values; NULL if it is not there. */
const struct node *node_lookup(const struct node *n, const char *key);

#endif
