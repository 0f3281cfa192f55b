/* migrate_links.c: see migrate_links_private.h. Few are open at a time, so they stand in a row, the one used
 * last at its end. */
#include "trivet/commands/keys/migrate_links.h"
#include "migrate_links_private.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include "trivet/transport/tls_contexts.h"
#include <poll.h>

#define KEPT_MS 10000
#define KEPT_MAX 64

struct kept_link {
    struct link link;
    char *way;
    size_t way_len;
    int64_t db, used_ms;
};

static struct kept_links {
    struct kept_link at[KEPT_MAX];
    size_t count;
} CACHE_ALIGNED kept[WORKERS_MAX];

static struct kept_links *mine(void) { return &kept[thread_worker_index < 0 ? 0 : thread_worker_index]; }

/* ---- ways as text ---- */

static void put(struct buf *out, struct slice part) {
    buf_printf(out, "%zu:", part.ptr ? part.len : SIZE_MAX);
    if (part.ptr) buf_append(out, part);
}

/* Each part with its length, so that no two ways have one text. */
static void describe(const struct migrate_way *w, struct buf *out) {
    put(out, w->target.host);
    put(out, w->target.port);
    put(out, slice_of(w->target.source));
    put(out, w->user);
    put(out, w->password);
    if (w->target.tls) buf_append_int(out, (int64_t)tls_contexts_generation());
}

/* ---- the row ---- */

static void take_out(struct kept_links *k, size_t i) {
    mem_free(k->at[i].way);
    k->count--;
    memmove(&k->at[i], &k->at[i + 1], (k->count - i) * sizeof k->at[i]);
}

static void drop(struct kept_links *k, size_t i) {
    link_close(&k->at[i].link);
    take_out(k, i);
}

/* What comes between two conversations is the link's end, or nothing that could be understood. */
static bool is_quiet(const struct link *l) {
    struct pollfd p = { .fd = l->socket.fd, .events = POLLIN };
    return poll(&p, 1, 0) == 0;
}

static size_t find(const struct kept_links *k, struct slice way) {
    size_t i = 0;
    while (i < k->count && !slice_equal(slice_make(k->at[i].way, k->at[i].way_len), way)) i++;
    return i;
}

bool migrate_link_find(const struct migrate_way *way, struct link *out, int64_t *db) {
    struct kept_links *k = mine();
    struct buf text = { 0 };
    describe(way, &text);
    size_t i = find(k, buf_slice(&text));
    buf_release(&text);
    if (i == k->count) return false;
    if (!is_quiet(&k->at[i].link)) {
        drop(k, i);
        return false;
    }
    *out = k->at[i].link;
    *db = k->at[i].db;
    take_out(k, i);
    return true;
}

void migrate_link_keep_take(const struct migrate_way *way, struct link *link, int64_t db, int64_t now_ms) {
    struct kept_links *k = mine();
    struct buf text = { 0 };
    if (k->count == KEPT_MAX) drop(k, 0);
    describe(way, &text);
    struct kept_link *one = &k->at[k->count++];
    *one = (struct kept_link){ .link = *link, .way_len = text.len, .db = db, .used_ms = now_ms };
    one->way = slice_to_cstr(buf_slice(&text));
    buf_release(&text);
}

void migrate_links_cron(int64_t now_ms) {
    struct kept_links *k = mine();
    while (k->count > 0 && (now_ms - k->at[0].used_ms > KEPT_MS || now_ms < k->at[0].used_ms)) drop(k, 0);
}

void migrate_links_release(void) {
    for (int i = 0; i < WORKERS_MAX; i++)
        while (kept[i].count > 0) drop(&kept[i], 0);
}
