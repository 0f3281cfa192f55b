/* part.c: big values, written in parts.
 *
 * A collection is frozen and written a few buckets or nodes at a time, its shard unlocked in between. A
 * string is written from a reference. In the file a record must be in one piece. So bytes that commands hand
 * over wait in the part until the walker writes it. */
#include "snapshot_private.h"
#include "trivet/base/mem.h"
#include "trivet/keyspace/walk.h"
#include "trivet/persist/rdb/values.h"
#include "trivet/types/stream.h"
#include <unistd.h>

#define BIG_ELEMENTS 256              /* from here on a collection is frozen */
#define BIG_BYTES ((size_t)64 * 1024) /* or with this many bytes */
#define BIG_NODES 16                  /* of a stream */
/* While the lock is held once; a node has some kilobytes, which may have to be compressed. */
#define GROUPS_AT_ONCE 8 /* of a table, some 30 elements each */
#define NODES_AT_ONCE 4
#define STRING_COMPRESSED_MAX ((size_t)16 * 1024 * 1024) /* more would take as much memory again */
/* The lock is not fair. Without a pause the walker takes it again, time after time, before a waiting command
 * has woken up. */
#define PAUSE_US 20

bool part_suits(const struct image_form *form, const struct entry *e) {
    if (e->type == TYPE_STRING)
        return !form->as_commands && e->encoding == ENCODING_BLOB && entry_blob(e)->len >= BIG_BYTES;
    if (entry_encoding(e) == ENCODING_LISTPACK || !image_can_part(form, e)) return false;
    if (e->type == TYPE_STREAM) return stream_of(entry_value(e))->nodes.count >= BIG_NODES;
    return entry_free_effort(e) >= BIG_ELEMENTS || entry_memory(e) >= BIG_BYTES;
}

static void note(struct part *p, size_t waiting) {
    waiting += p->facts.rest.len;
    snapshot_note_part(p->noted, waiting);
    p->noted = waiting;
}

static void take_element(void *arg, const struct frozen_element *el) {
    struct part *p = arg;
    image_put_element(p->form, &p->out, &p->facts, el);
    if (!p->walking) note(p, p->out.bytes.len);
}

void part_keeps_blob(struct part *p) {
    if (p->blob) note(p, p->blob->len);
}

struct part *part_new(const struct image_form *form, const struct entry *e, uint32_t db, uint32_t shard) {
    struct part *p = mem_alloc_zero(sizeof *p);
    p->db = db;
    p->form = form;
    p->out.compress = form->compress;
    atomic_store_explicit(&p->shard, shard, memory_order_relaxed);
    if (e->type == TYPE_STRING) {
        p->blob = blob_ref(entry_blob(e));
        image_put_string_head(form, &p->out, e);
        return p;
    }
    struct frozen *f = value_freeze(entry_value(e), take_element, p);
    image_put_head(form, &p->out, e, f, &p->facts);
    note(p, 0);
    atomic_store(&p->frozen, f);
    return p;
}

/* Takes the lock of the shard that the value is in now: a RENAME may move it while this waits. */
static struct shard *lock_home(struct part *p) UNCHECKED;
static struct shard *lock_home(struct part *p) {
    for (;;) {
        uint32_t at = atomic_load_explicit(&p->shard, memory_order_acquire);
        latch_take(&shards[at].lock);
        if (at == atomic_load_explicit(&p->shard, memory_order_acquire)) return &shards[at];
        latch_drop(&shards[at].lock);
    }
}

static bool has_nodes(const struct part *p) {
    return p->facts.type == TYPE_LIST || p->facts.type == TYPE_STREAM;
}

/* Does some steps and puts their bytes into `taken`. True while there is more; at the end the value is
 * released. */
static bool walk_some(struct part *p, struct buf *taken, bool drop) UNCHECKED;
static bool walk_some(struct part *p, struct buf *taken, bool drop) {
    walk_enter();
    struct shard *s = lock_home(p);
    p->walking = true;
    bool more = !drop && frozen_walk(p->frozen, has_nodes(p) ? NODES_AT_ONCE : GROUPS_AT_ONCE);
    p->walking = false;
    struct buf bytes = p->out.bytes;
    p->out.bytes = *taken;
    *taken = bytes;
    note(p, 0);
    if (!more) frozen_end(atomic_exchange(&p->frozen, NULL));
    latch_drop(&s->lock);
    walk_leave();
    return more;
}

/* Writes the string after its head, which is in `out`. */
static void put_blob(struct part *p, struct snapshot_writer *w) {
    if (p->out.compress && p->blob->len <= STRING_COMPRESSED_MAX) {
        rdb_put_string(&p->out, blob_slice(p->blob));
        return;
    }
    rdb_put_length(&p->out, p->blob->len);
    snapshot_writer_put(w, buf_slice(&p->out.bytes));
    buf_clear(&p->out.bytes);
    snapshot_writer_put(w, blob_slice(p->blob));
}

void part_finish(struct part *p, struct snapshot_writer *w, bool drop) {
    struct buf taken = { 0 };
    if (!drop) snapshot_writer_select(w, p->form, p->db);
    for (bool more = p->frozen != NULL; more;) {
        more = walk_some(p, &taken, drop);
        if (more) usleep(PAUSE_US);
        if (!drop) snapshot_writer_put(w, buf_slice(&taken));
        buf_clear(&taken);
    }
    if (!drop) {
        if (p->blob)
            put_blob(p, w);
        else
            image_put_tail(p->form, &p->out, &p->facts);
        snapshot_writer_put(w, buf_slice(&p->out.bytes));
    }
    buf_release(&taken);
}

void part_free(struct part *p) {
    assert(!p->frozen);
    snapshot_note_part(p->noted, 0);
    blob_unref(p->blob);
    image_parts_release(&p->facts);
    buf_release(&p->out.bytes);
    mem_free(p);
}
