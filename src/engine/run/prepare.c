/* prepare.c: the first steps of a batch of commands, which need no lock: look up each, hash its keys, fetch
 * the cache lines they lead to. The waiting for memory of all commands of a batch overlaps. */
#include "trivet/base/hashing.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/watch/stats.h"

/* The last look-ups of this worker: a pipeline mostly repeats one command, or a few. */
static _Thread_local struct lookup {
    struct packed_name {
        uint64_t first, last; /* the first and the last eight bytes, which overlap */
    } name;
    size_t len;
    uint32_t generation; /* of the registry: a removed command is not found here */
    const struct command *command;
} last_lookups[32];

#define PACKED_MAX 16 /* the longest name that is packed */

static inline uint64_t load_four(const char *at) {
    uint32_t four;
    memcpy(&four, at, sizeof four);
    return four;
}

/* With its length it says what the name is. Reads nothing outside it. */
static inline struct packed_name pack(struct slice name) {
    const char *p = name.ptr;
    size_t len = name.len;
    if (len < 4) {
        const unsigned char *u = (const unsigned char *)p;
        return (struct packed_name){ u[0] | (uint64_t)u[len / 2] << 8 | (uint64_t)u[len - 1] << 16, 0 };
    }
    if (len <= 8) return (struct packed_name){ load_four(p) | load_four(p + len - 4) << 32, 0 };
    struct packed_name both;
    memcpy(&both.first, p, 8);
    memcpy(&both.last, p + len - 8, 8);
    return both;
}

/* Spreads the common names well: the top bits of a product depend on all bits below. */
static inline struct lookup *place_for(struct packed_name name, size_t len) {
    uint64_t mix = (name.first + name.last + len) * 0x9e3779b97f4a7c15ULL;
    return &last_lookups[mix >> 59];
}
static_assert(COUNT_OF(last_lookups) == 32, "five bits choose the place");

static const struct command *look_up(const struct slice *argv, size_t argc) {
    const struct command *container;
    struct slice name = argv[0];
    if (UNLIKELY(name.len - 1 >= PACKED_MAX)) return registry_resolve(argv, argc, &container);
    struct packed_name packed = pack(name);
    struct lookup *last = place_for(packed, name.len);
    if (LIKELY(last->name.first == packed.first && last->name.last == packed.last && name.len == last->len &&
               last->generation == registry_generation))
        return last->command;
    const struct command *command = registry_resolve(argv, argc, &container);
    if (command && !command->parent && !command->children)
        *last = (struct lookup){ packed, name.len, registry_generation, command };
    return command;
}

static inline void prefetch_shard(const struct keyref *ref) {
    struct shard *s = &shards[ref->shard];
    if (shards_are_shared)
        prefetch_to_write(&s->lock);
    else
        __builtin_prefetch(&s->interests);
    __builtin_prefetch(&s->first.table);
}

static inline void prepare(const struct command *found, const struct slice *argv, size_t argc,
                           struct prepared *out) {
    out->command = found;
    out->keys.count = 0;
    const struct command *command = out->command;
    if (UNLIKELY(!command) || !command->names_keys) return;
    if (LIKELY(command->simple_key > 0 && command->simple_key < argc)) {
        command_keys_set_one(&out->keys, command, argv);
        prefetch_shard(&out->keys.at[0]);
        return;
    }
    command_keys_resolve(&out->keys, command, argv, argc);
    for (size_t i = 0; i < out->keys.count && i < PREFETCH_KEYS; i++) prefetch_shard(&out->keys.at[i]);
}

void dispatch_prepare(const struct slice *argv, size_t argc, struct prepared *out) {
    assert(argc > 0);
    prepare(look_up(argv, argc), argv, argc, out);
}

void dispatch_prepare_replay(const struct slice *argv, size_t argc, struct prepared *out) {
    assert(argc > 0);
    prepare(registry_resolve_journaled(argv, argc), argv, argc, out);
}

void prepared_release(struct prepared *p) { command_keys_release(&p->keys); }

/* ---- fetching ---- */

/* The table may be read only under its shard's lock; if that is taken, this key is skipped. */
static inline const struct table *table_to_look_at(uint32_t db, const struct keyref *ref) {
    struct shard *s = &shards[ref->shard];
    if (shards_are_shared && !latch_try(&s->lock)) return NULL;
    struct keydb *kdb = shard_db(s, db);
    if (LIKELY(kdb)) return &kdb->table;
    shard_unlock(s);
    return NULL;
}

static inline void done_looking(const struct keyref *ref) { shard_unlock(&shards[ref->shard]); }

/* A string is in the head of its entry; other values are further on in theirs, or behind a pointer. Most are
 * small, and for a big one this fetches the head. */
#define VALUE_BYTES 384
static void prefetch_value(const struct table *t, const struct keyref *ref) {
    const struct entry *e = table_find(t, ref->key, ref->hash);
    if (!e || e->type == TYPE_STRING) return;
    const char *value = entry_value(e).ptr;
    for (size_t i = 0; i < VALUE_BYTES; i += CACHE_LINE) __builtin_prefetch(value + i);
}

/* The keys that are prefetched: those that differ from the key of the command before (pipelines on one key
 * are common), up to a limit. */
struct wanted {
    size_t count, outside_count;
    const struct keyref *at[PREFETCH_KEYS];
    const struct keyref *outside[PREFETCH_KEYS]; /* those whose value is not in the head of the entry */
};

static void collect(struct wanted *w, const struct prepared *batch, size_t count) {
    uint64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        const struct command_keys *keys = &batch[i].keys;
        for (size_t k = 0; k < keys->count && w->count < PREFETCH_KEYS; k++) {
            const struct keyref *key = &keys->at[k];
            bool is_new = w->count == 0 || before != key->hash;
            before = key->hash;
            if (UNLIKELY(!is_new)) continue;
            w->at[w->count++] = key;
            if (!(batch[i].command->categories & CAT_STRING)) w->outside[w->outside_count++] = key;
        }
    }
}

static void prefetch_all(uint32_t db, const struct wanted *w) {
    const struct table *t;
    for (size_t i = 0; i < w->count; i++) {
        if (!(t = table_to_look_at(db, w->at[i]))) continue;
        table_prefetch_bucket(t, w->at[i]->hash);
        done_looking(w->at[i]);
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!(t = table_to_look_at(db, w->at[i]))) continue;
        table_prefetch_item(t, w->at[i]->hash);
        done_looking(w->at[i]);
    }
    for (size_t i = 0; i < w->outside_count; i++) {
        if (!(t = table_to_look_at(db, w->outside[i]))) continue;
        prefetch_value(t, w->outside[i]);
        done_looking(w->outside[i]);
    }
}

void dispatch_prefetch(const struct client *c, const struct prepared *batch, size_t count) {
    struct wanted w;
    turn_mark_ns = 0; /* the time since then went into reading and parsing */
    w.count = w.outside_count = 0;
    collect(&w, batch, count);
    if (w.count < 2) return; /* there is nothing to overlap with */
    COUNTER_ADD(stats_mine()->prefetch_batches, 1);
    COUNTER_ADD(stats_mine()->prefetch_entries, w.count);
    prefetch_all(c->db, &w);
}
