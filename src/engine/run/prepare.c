/* prepare.c: the first steps of a batch of commands, which need no lock: look up each, hash its keys, fetch
 * the cache lines they lead to. The waiting for memory of all commands of a batch overlaps. */
#include "trivet/base/hashing.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/dispatch.h"
#include "trivet/engine/watch/stats.h"

/* The last look-ups of this worker: a pipeline mostly repeats one command, or a few. */
static _Thread_local struct lookup {
    char name[24];
    size_t len;
    uint32_t generation; /* of the registry: a removed command is not found here */
    const struct command *command;
} last_lookups[32];

/* Spreads the common names well. */
static struct lookup *place_for(struct slice name) {
    const unsigned char *p = (const unsigned char *)name.ptr;
    size_t mix = name.len + p[0] + 5u * p[name.len / 2] + 21u * p[name.len - 1];
    return &last_lookups[mix % COUNT_OF(last_lookups)];
}

static const struct command *look_up(const struct slice *argv, size_t argc) {
    struct slice name = argv[0];
    struct lookup *last = name.len > 0 ? place_for(name) : last_lookups;
    if (name.len == last->len && last->generation == registry_generation &&
        memcmp(name.ptr, last->name, name.len) == 0)
        return last->command;
    const struct command *container;
    const struct command *command = registry_resolve(argv, argc, &container);
    if (command && !command->parent && !command->children && name.len <= sizeof last->name) {
        memcpy(last->name, name.ptr, name.len);
        last->len = name.len;
        last->generation = registry_generation;
        last->command = command;
    }
    return command;
}

static inline void prefetch_shard(const struct keyref *ref) {
    struct shard *s = &shards[ref->shard];
    if (shards_are_shared)
        prefetch_to_write(&s->lock);
    else
        __builtin_prefetch(s);
    __builtin_prefetch(&s->first);
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

/* One step for one command. The table may be read only under its shard's lock; if that is taken, this key is
 * skipped. */
static void prefetch_step(uint32_t db, const struct keyref *ref,
                          void (*step)(const struct table *t, const struct keyref *ref)) {
    struct shard *s = &shards[ref->shard];
    if (shards_are_shared && !latch_try(&s->lock)) return;
    struct keydb *kdb = shard_db(s, db);
    if (kdb) step(&kdb->table, ref);
    shard_unlock(s);
}

static void prefetch_bucket(const struct table *t, const struct keyref *ref) {
    table_prefetch_bucket(t, ref->hash);
}

static void prefetch_entry(const struct table *t, const struct keyref *ref) {
    table_prefetch_item(t, ref->hash);
}

/* A string is in its entry; other values are behind a pointer. Most are small, and for a big one this fetches
 * the head. */
#define VALUE_BYTES 384
static void prefetch_value(const struct table *t, const struct keyref *ref) {
    const struct entry *e = table_find(t, ref->key, ref->hash);
    if (!e || e->type == TYPE_STRING) return;
    const char *value = entry_pointer(e);
    for (size_t i = 0; i < VALUE_BYTES; i += CACHE_LINE) __builtin_prefetch(value + i);
}

/* The keys that are prefetched: those that differ from the key of the command before (pipelines on one key
 * are common), up to a limit. */
struct wanted {
    size_t count;
    const struct keyref *at[PREFETCH_KEYS];
    bool outside[PREFETCH_KEYS]; /* the value is not in the entry */
};

static void collect(struct wanted *w, const struct prepared *batch, size_t count) {
    const struct keyref *before = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct command_keys *keys = &batch[i].keys;
        for (size_t k = 0; k < keys->count && w->count < PREFETCH_KEYS; k++) {
            const struct keyref *key = &keys->at[k];
            bool is_new = !before || before->hash != key->hash;
            before = key;
            if (!is_new) continue;
            w->at[w->count] = key;
            w->outside[w->count++] = !(batch[i].command->categories & CAT_STRING);
        }
    }
}

void dispatch_prefetch(const struct client *c, const struct prepared *batch, size_t count) {
    struct wanted w;
    w.count = 0;
    collect(&w, batch, count);
    if (w.count < 2) return; /* there is nothing to overlap with */
    COUNTER_ADD(stats_mine()->prefetch_batches, 1);
    COUNTER_ADD(stats_mine()->prefetch_entries, w.count);
    for (size_t i = 0; i < w.count; i++) prefetch_step(c->db, w.at[i], prefetch_bucket);
    for (size_t i = 0; i < w.count; i++) prefetch_step(c->db, w.at[i], prefetch_entry);
    for (size_t i = 0; i < w.count; i++)
        if (w.outside[i]) prefetch_step(c->db, w.at[i], prefetch_value);
}
