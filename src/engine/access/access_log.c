/* access_log.c: see access_log.h. A chain, the newest first. Events are rare, so one lock guards it. */
#include "trivet/engine/access/access_log.h"
#include "trivet/base/chain.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"

#define LOOKED_AT 10         /* of the newest, for one that is alike */
#define ALIKE_MS (60 * 1000) /* an older one is left alone */

struct node {
    struct chain_link in_log;
    struct access_entry entry;
};

static struct lock log_lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct chain nodes;
static size_t length;
static uint64_t next_id;
static uint64_t counts[ACCESS_REASONS]; /* since they were reset */

static struct slice keep(struct slice text) { return slice_make(slice_to_cstr(text), text.len); }

static struct node *node_new(const struct access_event *event) {
    struct node *n = mem_alloc_zero(sizeof *n);
    n->entry = (struct access_entry){ .event = *event, .count = 1, .created_ms = event->now_ms };
    n->entry.event.object = keep(event->object);
    n->entry.event.username = keep(event->username);
    n->entry.event.client = keep(event->client);
    return n;
}

static void node_free(struct node *n) {
    mem_free(unconst(n->entry.event.object.ptr));
    mem_free(unconst(n->entry.event.username.ptr));
    mem_free(unconst(n->entry.event.client.ptr));
    mem_free(n);
}

static void drop_oldest(void) {
    struct node *n = CHAIN_LAST(&nodes, struct node, in_log);
    assert(n && length > 0);
    chain_remove(&nodes, &n->in_log);
    length--;
    node_free(n);
}

static bool are_alike(const struct access_event *a, const struct access_event *b) {
    return a->reason == b->reason && a->context == b->context && slice_equal(a->object, b->object) &&
           slice_equal(a->username, b->username);
}

static struct node *find_alike(const struct access_event *event) {
    size_t looked_at = 0;
    CHAIN_EACH(&nodes, struct node, in_log, n) {
        if (looked_at++ == LOOKED_AT) break;
        const struct access_event *old = &n->entry.event;
        if (are_alike(old, event) && event->now_ms - old->now_ms < ALIKE_MS) return n;
    }
    return NULL;
}

/* What the older one has of the newer: its time, its client. */
static void renew(struct node *old, struct node *fresh) {
    struct slice line = old->entry.event.client;
    old->entry.event.client = fresh->entry.event.client;
    fresh->entry.event.client = line;
    old->entry.event.now_ms = fresh->entry.event.now_ms;
    old->entry.count++;
    chain_remove(&nodes, &old->in_log);
    chain_insert_first(&nodes, &old->in_log);
    node_free(fresh);
}

static void trim_log(void) {
    while (length > (uint64_t)options.acllog_max_len) drop_oldest();
}

void access_log_note(const struct access_event *event) {
    assert(event->reason < ACCESS_REASONS);
    struct node *fresh = node_new(event);
    lock_take(&log_lock);
    counts[event->reason]++;
    struct node *old = find_alike(event);
    if (old) {
        renew(old, fresh);
    } else {
        fresh->entry.id = next_id++;
        chain_insert_first(&nodes, &fresh->in_log);
        length++;
        trim_log();
    }
    lock_drop(&log_lock);
}

void access_log_each(size_t max, void (*visit)(void *arg, const struct access_entry *entry), void *arg) {
    lock_take(&log_lock);
    CHAIN_EACH(&nodes, struct node, in_log, n) {
        if (max-- == 0) break;
        visit(arg, &n->entry);
    }
    lock_drop(&log_lock);
}

void access_log_reset(void) {
    lock_take(&log_lock);
    while (length > 0) drop_oldest();
    lock_drop(&log_lock);
}

void access_log_trim(void) {
    lock_take(&log_lock);
    trim_log();
    lock_drop(&log_lock);
}

uint64_t access_log_count(enum access_reason reason) {
    lock_take(&log_lock);
    uint64_t count = counts[reason];
    lock_drop(&log_lock);
    return count;
}

void access_log_reset_counts(void) {
    lock_take(&log_lock);
    memset(counts, 0, sizeof counts);
    lock_drop(&log_lock);
}
