/* stream.h: a log of entries, each with an id and pairs of field and value, and the groups of consumers that
 * read it.
 *
 * Entries lie in nodes: listpacks in the public format, by the id of their first entry (the master id) in an
 * id_map:
 *
 *     entries | deleted entries | number of fields | field ... | 0            the master entry
 *     flags | ms and sequence, minus those of the master id
 *           | value ...                                 if flags say that the fields are those of the master
 * entry | number of fields | field | value ...      if not | elements of this entry before this one
 *
 * A deleted entry is flagged and stays until its node goes. Ids only rise. A group has a place up to which it
 * delivered and its pending entries (delivered, not acknowledged), by id: who has it, since when, how often;
 * each of its consumers knows the ids of its own. Groups and consumers are ordered by name.
 *
 * Pointers to groups and consumers are valid until they are deleted. Thread: the owner's. */
#ifndef TRIVET_TYPES_STREAM_H
#define TRIVET_TYPES_STREAM_H

#include "trivet/types/structures/id_map.h"
#include "trivet/types/structures/listpack.h"
#include "trivet/types/value.h"

#define STREAM_ID_TEXT_MAX 44
#define ENTRIES_READ_UNKNOWN ((int64_t)-1)
/* Counters (entries added, entries read, deliveries) stop here: clients, files and journals know them as
 * signed numbers, so one more would be negative. */
#define STREAM_COUNTER_MAX ((uint64_t)INT64_MAX)

struct stream_group;
struct stream_consumer;

/* Ordered by name; the items begin with a struct name. */
struct name {
    size_t len;
    char *text; /* in the item's own allocation, or behind it */
};
struct name_list {
    struct name **items;
    uint32_t count, room;
};

struct stream {
    struct id_map nodes;                /* payload: the listpack */
    uint64_t length;                    /* entries that are not deleted */
    uint64_t entries_added;             /* ever; stays at STREAM_COUNTER_MAX once it is there */
    struct stream_id last_id, first_id; /* first_id: of the first entry there is, 0-0 if there is none */
    struct stream_id max_deleted_id;    /* the greatest id that was ever deleted as such, not by trimming */
    struct name_list groups;            /* of struct stream_group */
    struct stream_freeze *freeze;       /* NULL unless frozen (freeze.h) */
    size_t held;                        /* bytes of all that is allocated for nodes and groups */
};

extern const struct value_ops stream_value_ops;

struct stream *stream_new(void);
static inline struct value stream_value(struct stream *s) { return (struct value){ s, ENCODING_STREAM }; }
static inline struct stream *stream_of(struct value v) { return v.ptr; }
void stream_free(struct stream *s);
static inline uint64_t stream_count_one(uint64_t counter) { return counter + (counter < STREAM_COUNTER_MAX); }
struct stream *stream_copy(const struct stream *s);

/* ---- ids ---- */

/* False at the end of all ids: *id is as before then. */
MUST_CHECK bool stream_id_increment(struct stream_id *id);
MUST_CHECK bool stream_id_decrement(struct stream_id *id);
/* "<ms>-<seq>"; returns the length, no NUL. `out` has STREAM_ID_TEXT_MAX bytes. */
size_t stream_id_format(char *out, struct stream_id id);
/* "<ms>" (then the sequence is `missing`) or "<ms>-<seq>". If `any_seq` is not NULL, "<ms>-*" is allowed:
 * *any_seq is set and the sequence 0. Nothing else ("-", "+", "$", "*"). */
MUST_CHECK bool stream_id_parse(struct slice text, uint64_t missing, struct stream_id *id, bool *any_seq);

/* ---- entries ---- */

/* The id that "*" stands for at this time; false if there is none left. */
MUST_CHECK bool stream_next_id(const struct stream *s, uint64_t now_ms, struct stream_id *id);
/* Adds an entry of `pairs` fields and values in turn. The id must be greater than last_id (asserted). False,
 * and nothing happens, if it is too big for a node. */
MUST_CHECK bool stream_add(struct stream *s, struct stream_id id, const struct slice *fields, size_t pairs);
bool stream_delete(struct stream *s, struct stream_id id);
/* XSETID: the last id is said to be another one, not lower than that of the last entry there is. Entries that
 * were deleted behind it leave their node: ids that come again would stand behind them, out of order. */
void stream_set_last_id(struct stream *s, struct stream_id id);
bool stream_has(const struct stream *s, struct stream_id id);
/* The last entry that is not deleted; 0-0 if there is none. */
struct stream_id stream_last_entry(const struct stream *s);

/* Takes the oldest entries out while more than `max_length` are there, or while their id is smaller than
 * `min_id`. `whole_nodes`: only whole nodes go, which is cheap. `limit`: stops before more entries went; 0
 * for none. */
struct stream_trim {
    bool by_id, whole_nodes;
    uint64_t max_length;
    struct stream_id min_id;
    uint64_t limit;
};
uint64_t stream_trim(struct stream *s, const struct stream_trim *how);

/* Walking over the entries from `start` to `end` (both included), backwards if asked:
 *
 *     stream_walk_begin(&w, s, start, end, backwards);
 *     while (stream_walk_next(&w)) {
 *         use w.id; for (i < w.pairs) stream_walk_pair(&w, &field, &value); }
 *
 * The stream must not change meanwhile. */
struct stream_walk {
    struct stream_id id; /* of the current entry */
    size_t pairs;        /* of fields and values */
    /* the walk's own */
    const struct stream *stream;
    struct stream_id start, end, master;
    bool backwards, same_fields, open; /* open: there is a current entry */
    struct id_cursor node;
    const unsigned char *listpack; /* of the node; NULL before the first */
    const unsigned char
        *next; /* where the next entry begins (backwards: where it ends); NULL: another node */
    const unsigned char *flags, *at,
        *field; /* of the current entry: its first element, the next unread ones */
    const unsigned char *master_fields;
    size_t master_count, unread;
};
void stream_walk_begin(struct stream_walk *w, const struct stream *s, struct stream_id start,
                       struct stream_id end, bool backwards);
bool stream_walk_next(struct stream_walk *w);
void stream_walk_pair(struct stream_walk *w, struct listpack_item *field, struct listpack_item *value);

/* ---- nodes, for saving and loading ---- */

static inline const unsigned char *stream_node(const struct stream *s, struct id_cursor at) {
    return *(unsigned char **)id_map_payload(&s->nodes, at);
}
/* Are these bytes of a payload from outside a whole, consistent node of that master id with at least one
 * entry? */
MUST_CHECK bool stream_node_is_valid(const unsigned char *bytes, size_t len, struct stream_id master);
/* Adds a (valid) node behind all others and takes it over; false, and the node stays the caller's, if
 * `master` is not greater than theirs. length counts its entries; the other numbers are the loader's to set,
 * first_id by stream_find_first. */
MUST_CHECK bool stream_load_node(struct stream *s, struct stream_id master, unsigned char *listpack);
void stream_find_first(struct stream *s);

/* ---- groups (stream_group.c) ---- */

struct stream_group {
    struct name name;
    struct stream_id last_id; /* delivered up to here */
    int64_t entries_read;     /* how many entries of the stream were delivered, deleted ones included; may be
                                 unknown */
    struct id_map pending;    /* payload: struct stream_pending */
    struct name_list consumers; /* of struct stream_consumer */
    size_t *held;               /* the stream's count of bytes */
};

struct stream_consumer {
    struct name name;
    int64_t seen_ms;       /* last time it tried to read or claim */
    int64_t active_ms;     /* last time it got something; -1: never */
    struct id_map pending; /* ids only */
};

struct stream_pending {
    struct stream_consumer *owner;
    int64_t delivered_ms;
    uint64_t deliveries;
};

static inline struct slice name_text(const struct name *n) { return slice_make(n->text, n->len); }
static inline struct stream_group *stream_group_at(const struct stream *s, size_t i) {
    return (struct stream_group *)s->groups.items[i];
}
static inline struct stream_consumer *stream_consumer_at(const struct stream_group *g, size_t i) {
    return (struct stream_consumer *)g->consumers.items[i];
}

struct stream_group *stream_group_find(const struct stream *s, struct slice name);
/* NULL if there is one of that name. */
struct stream_group *stream_group_create(struct stream *s, struct slice name, struct stream_id last_id,
                                         int64_t entries_read);
void stream_group_delete(struct stream *s, struct stream_group *g);

struct stream_consumer *stream_consumer_find(const struct stream_group *g, struct slice name);
/* NULL if there is one of that name. */
struct stream_consumer *stream_consumer_create(struct stream_group *g, struct slice name, int64_t now_ms);
/* Its pending entries go too. */
void stream_consumer_delete(struct stream_group *g, struct stream_consumer *c);

static inline struct stream_pending *stream_pending_find(const struct stream_group *g, struct stream_id id) {
    return id_map_find(&g->pending, id);
}
/* The pending entry of this id, made if need be, belongs to `owner` from now on; its times are the caller's.
 */
struct stream_pending *stream_pending_give(struct stream_group *g, struct stream_id id,
                                           struct stream_consumer *owner);
bool stream_pending_remove(struct stream_group *g, struct stream_id id);

/* The group delivers `id`, an entry after its last_id: moves last_id and the count of read entries. */
void stream_group_advance(const struct stream *s, struct stream_group *g, struct stream_id id);
/* How many entries the group has not got yet; false if nobody can tell. */
bool stream_group_lag(const struct stream *s, const struct stream_group *g, int64_t *lag);

/* Of all groups, for stream.c. */
void stream_groups_release(struct stream *s);
void stream_groups_copy(struct stream *to, const struct stream *from);
size_t stream_groups_effort(const struct stream *s);

/* Asserts every invariant of nodes, counts and groups; for tests. */
void stream_check(const struct stream *s);
/* That of groups; returns the bytes that they hold. */
size_t stream_groups_check(const struct stream *s);

#endif
