/* stream_freeze.c: see stream_freeze_private.h. */
#include "stream_freeze.h"
#include "trivet/base/mem.h"
#include <assert.h>

struct stream_freeze {
    stream_node_visit *visit;
    void *arg;
    uint64_t left;               /* nodes that are not visited */
    struct stream_id next, last; /* live nodes between them are frozen and not visited, unless in `kept` */
    struct id_map kept;          /* payload: the listpack of then, owned */
    size_t held;                 /* bytes of `kept` and of its listpacks */
};

/* ---- what the stream tells ---- */

bool stream_freeze_takes(struct stream_freeze *f, struct stream_id master, unsigned char *listpack) {
    bool fresh;
    if (f->left == 0) return false;
    if (stream_id_compare(master, f->next) < 0 || stream_id_compare(master, f->last) > 0) return false;
    unsigned char **slot = id_map_put(&f->kept, master, &fresh);
    if (!fresh) return false;
    *slot = listpack;
    f->held += mem_size(listpack);
    return true;
}

/* Ids can begin again (XSETID) when all nodes that could have them are gone: what comes after this one has no
 * part in the freeze either. */
void stream_freeze_excludes(struct stream_freeze *f, struct stream_id master) {
    if (stream_id_compare(master, f->last) > 0) return;
    f->last = master;
    bool lowered = stream_id_decrement(&f->last);
    assert(lowered);
}

/* ---- the walk ---- */

static void drop_kept(struct stream_freeze *f, struct stream_id master, unsigned char *listpack) {
    mem_free_in(&f->held, listpack);
    id_map_remove(&f->kept, master);
}

static void visit_kept(struct stream_freeze *f, struct stream_id master) {
    unsigned char *lp = *(unsigned char **)id_map_payload(&f->kept, id_map_first(&f->kept));
    f->visit(f->arg, master, lp);
    drop_kept(f, master, lp);
}

/* The first frozen node that is not visited. */
static void visit_next(const struct stream *s) {
    struct stream_freeze *f = s->freeze;
    struct id_cursor live = id_map_seek(&s->nodes, f->next), kept = id_map_first(&f->kept);
    bool has_live = id_map_has(&s->nodes, live), has_kept = id_map_has(&f->kept, kept);
    struct stream_id id = has_live ? id_map_id(&s->nodes, live) : STREAM_ID_MAX;
    if (has_live && stream_id_compare(id, f->last) > 0) has_live = false;
    assert(has_live || has_kept);
    if (has_kept && (!has_live || stream_id_compare(id_map_id(&f->kept, kept), id) <= 0)) {
        id = id_map_id(&f->kept, kept);
        visit_kept(f, id);
    } else {
        f->visit(f->arg, id, stream_node(s, live));
    }
    f->left--;
    f->next = id;
    bool more_ids = stream_id_increment(&f->next);
    assert(more_ids || f->left == 0);
}

bool stream_freeze_walk(struct stream *s, size_t nodes) {
    struct stream_freeze *f = s->freeze;
    for (; f->left > 0 && nodes > 0; nodes--) visit_next(s);
    return f->left > 0;
}

/* ---- beginning and end ---- */

void stream_freeze(struct stream *s, stream_node_visit *visit, void *arg) {
    assert(!s->freeze);
    struct stream_freeze *f = mem_alloc(sizeof *f);
    *f = (struct stream_freeze){ .visit = visit, .arg = arg, .left = s->nodes.count };
    id_map_init(&f->kept, sizeof(unsigned char *), &f->held);
    if (f->left > 0) f->last = id_map_id(&s->nodes, id_map_last(&s->nodes));
    s->freeze = f;
}

void *stream_frozen_for(const struct stream *s) { return s->freeze ? s->freeze->arg : NULL; }

size_t stream_freeze_memory(const struct stream *s) { return mem_size(s->freeze) + s->freeze->held; }

void stream_thaw(struct stream *s) {
    struct stream_freeze *f = s->freeze;
    s->freeze = NULL;
    struct id_cursor at = id_map_first(&f->kept);
    for (; id_map_has(&f->kept, at); at = id_map_next(&f->kept, at))
        listpack_free(*(unsigned char **)id_map_payload(&f->kept, at));
    id_map_release(&f->kept);
    mem_free(f);
}
