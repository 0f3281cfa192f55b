/* registry.c: the commands by name. Rows are copied, completed (full name, id, derived categories) and put
 * into a table; a container's copy holds its subcommands. */
#include "trivet/engine/command/registry.h"
#include "trivet/base/buf.h"
#include "trivet/base/grow.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/command/call.h"
#include "trivet/types/structures/table.h"

#define NAME_MAX_LENGTH 1024 /* rename-command may give a long secret name */

const char *const category_names[CATEGORY_COUNT] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting",
};

static struct slice declared_key(const void *item) {
    return slice_of(((const struct command *)item)->full_name);
}
static struct slice current_key(const void *item) {
    return slice_of(((const struct command *)item)->current_name);
}
static const struct table_ops by_declared_ops = { .key = declared_key };
static const struct table_ops by_name_ops = { .key = current_key };

/* Top-level commands by lower-case name: by the one that their row declares, which the journal and ACL rules
 * use, and by the one that clients use. */
static struct table by_declared, by_name;
static struct command **in_order; /* those that clients can call */
static struct command **hidden;   /* those that rename-command took the name from */
static size_t hidden_count;
static size_t command_count, command_room;
static struct command **by_id; /* NULL where one was removed */
static uint32_t id_count, id_room;
static struct command **removed; /* kept: see registry_remove */
static size_t removed_count;
uint32_t registry_generation;
void (*registry_grew)(uint32_t ids);

static size_t lower_into(char out[NAME_MAX_LENGTH], struct slice name) {
    if (name.len > NAME_MAX_LENGTH) return 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    return name.len;
}

static char *full_name_of(const char *parent, const char *name) {
    struct buf b = { 0 };
    if (parent) buf_printf(&b, "%s|", parent);
    size_t start = b.len;
    buf_printf(&b, "%s", name);
    for (size_t i = start; i < b.len; i++)
        if (b.ptr[i] >= 'A' && b.ptr[i] <= 'Z') b.ptr[i] = (char)(b.ptr[i] + 'a' - 'A');
    char *text = slice_to_cstr(buf_slice(&b));
    buf_release(&b);
    return text;
}

/* The ACL categories that follow from the flags. */
static uint32_t derived_categories(const struct command *c) {
    uint32_t out = c->categories;
    if (c->flags & WRITES) out |= CAT_WRITE;
    if ((c->flags & READS) && !(out & CAT_SCRIPTING)) out |= CAT_READ;
    if (c->flags & ADMIN) out |= CAT_ADMIN | CAT_DANGEROUS;
    if (c->flags & PUBSUB) out |= CAT_PUBSUB;
    if (c->flags & BLOCKS) out |= CAT_BLOCKING;
    return out | (c->flags & FAST ? CAT_FAST : CAT_SLOW);
}

/* The position of the only key, for the dispatcher's short way; 0 if the keys are not that simple. Where
 * flags vary, find_keys finds only the flags: the position is the spec's. */
static uint32_t simple_key_of(const struct command *c) {
    const struct key_spec *k = &c->keys[0];
    bool one =
        k->begin == BEGIN_INDEX && k->find == FIND_RANGE && k->last == 0 && c->keys[1].begin == BEGIN_NONE;
    bool spec_tells = !c->find_keys || (k->flags & KEY_VARIABLE_FLAGS);
    assert(c->find_keys || !(k->flags & KEY_VARIABLE_FLAGS));
    return one && spec_tells && !(k->flags & KEY_NOT_KEY) ? (uint32_t)k->index : 0;
}

static void complete(struct command *c, const struct command *row, const char *group,
                     const struct command *parent) {
    assert(row->arity != 0);
    assert(!parent || !row->subcommands);
    *c = *row;
    c->group = group;
    c->parent = parent;
    if (parent) c->owner = parent->owner;
    c->full_name = full_name_of(parent ? parent->full_name : NULL, row->name);
    c->current_name = c->full_name;
    if (parent) c->flags |= parent->flags & KEEPS_CACHING;
    c->categories = derived_categories(c);
    c->simple_key = simple_key_of(c);
    c->names_keys = c->kind != LOCAL && (c->keys[0].begin != BEGIN_NONE || c->find_keys);
    c->id = id_count;
    GROW(by_id, id_count, &id_room, 256);
    by_id[id_count++] = c;
}

static void add_children(struct command *parent, const char *group) {
    uint32_t count = 0;
    while (parent->subcommands[count].name) count++;
    assert(count > 0);
    parent->children = mem_alloc_zero(count * sizeof *parent->children);
    parent->child_count = count;
    for (uint32_t i = 0; i < count; i++)
        complete(&parent->children[i], &parent->subcommands[i], group, parent);
}

static bool may_add(const struct command *rows) {
    for (const struct command *row = rows; row->name; row++)
        if (strlen(row->name) > NAME_MAX_LENGTH || registry_find(slice_of(row->name)) ||
            registry_find_declared(slice_of(row->name)))
            return false;
    return true;
}

static void add(const char *group, const struct command *row) {
    struct command *c = mem_alloc(sizeof *c);
    complete(c, row, group, NULL);
    if (c->subcommands) add_children(c, group);
    uint64_t hash = hash_bytes(slice_of(c->full_name));
    table_insert(&by_declared, c, hash);
    table_insert(&by_name, c, hash);
    GROW(in_order, command_count, &command_room, 256);
    in_order[command_count++] = c;
}

bool registry_add(const char *group, const struct command *rows) {
    if (!by_name.ops) {
        table_init(&by_declared, &by_declared_ops);
        table_init(&by_name, &by_name_ops);
    }
    if (!may_add(rows)) return false;
    for (const struct command *row = rows; row->name; row++) add(group, row);
    if (registry_grew) registry_grew(id_count);
    return true;
}

/* ---- renaming ---- */

static void put_current_name(struct command *c, const char *name) {
    if (c->current_name != c->full_name) mem_free(unconst(c->current_name));
    c->current_name = name;
}

static void forget_current_name(struct command *c) {
    size_t index = 0;
    while (in_order[index] != c) index++;
    memmove(in_order + index, in_order + index + 1, (--command_count - index) * sizeof(struct command *));
    put_current_name(c, NULL);
    hidden = mem_realloc(hidden, (hidden_count + 1) * sizeof(struct command *));
    hidden[hidden_count++] = c;
}

/* A line end in it would break the replies that say the name. */
static bool is_possible(struct slice name) {
    for (size_t i = 0; i < name.len; i++)
        if (!name.ptr[i] || name.ptr[i] == '\r' || name.ptr[i] == '\n') return false;
    return name.len <= NAME_MAX_LENGTH;
}

enum registry_renamed registry_rename(struct slice name, struct slice fresh) {
    const struct command *found = registry_find(name);
    if (!found) return RENAME_UNKNOWN;
    const struct command *other = registry_find(fresh);
    if (other && other != found) return RENAME_TAKEN;
    if (!is_possible(fresh)) return RENAME_IMPOSSIBLE;
    struct command *c = by_id[found->id];
    table_remove_item(&by_name, c, hash_bytes(current_key(c)));
    if (fresh.len == 0) {
        forget_current_name(c);
    } else {
        char lower[NAME_MAX_LENGTH];
        struct slice key = slice_make(lower, lower_into(lower, fresh));
        bool is_declared = slice_equal(key, slice_of(c->full_name));
        put_current_name(c, is_declared ? c->full_name : slice_to_cstr(key));
        table_insert(&by_name, c, hash_bytes(key));
    }
    registry_generation++;
    return RENAME_DONE;
}

/* ---- removing ---- */

static void answer_gone(struct call *c) {
    reply_error_printf(c->out, "ERR unknown command '%s'", c->command->full_name);
}

/* Of its owner's data it keeps only the name, which is the registry's copy. */
static void make_empty(struct command *c) {
    *c = (struct command){ .name = c->full_name,
                           .run = answer_gone,
                           .arity = c->arity,
                           .kind = c->kind,
                           .flags = c->flags & (RUNS_IN_MULTI | SKIP_MONITOR),
                           .group = "",
                           .full_name = c->full_name,
                           .current_name = c->full_name,
                           .children = c->children,
                           .child_count = c->child_count,
                           .since = "",
                           .summary = "",
                           .complexity = "",
                           .id = c->id,
                           .simple_key = c->simple_key,
                           .names_keys = c->names_keys };
    by_id[c->id] = NULL;
}

static void remove_at(size_t index) {
    assert(index < command_count);
    struct command *c = in_order[index];
    table_remove_item(&by_name, c, hash_bytes(current_key(c)));
    table_remove_item(&by_declared, c, hash_bytes(declared_key(c)));
    put_current_name(c, c->full_name);
    memmove(in_order + index, in_order + index + 1, (--command_count - index) * sizeof(struct command *));
    for (uint32_t i = 0; i < c->child_count; i++) make_empty(&c->children[i]);
    make_empty(c);
    removed = mem_realloc(removed, (removed_count + 1) * sizeof(struct command *));
    removed[removed_count++] = c;
}

size_t registry_remove(const void *owner) {
    assert(owner);
    size_t before = command_count;
    for (size_t i = command_count; i-- > 0;)
        if (in_order[i]->owner == owner) remove_at(i);
    if (before != command_count) registry_generation++;
    return before - command_count;
}

/* ---- the end ---- */

static void release_one(struct command *c) {
    for (uint32_t i = 0; i < c->child_count; i++) mem_free(unconst(c->children[i].full_name));
    mem_free(c->children);
    put_current_name(c, NULL);
    mem_free(unconst(c->full_name));
    mem_free(c);
}

void registry_release(void) {
    if (by_name.ops) table_release(&by_name, NULL);
    if (by_declared.ops) table_release(&by_declared, NULL);
    for (size_t i = 0; i < command_count; i++) release_one(in_order[i]);
    for (size_t i = 0; i < removed_count; i++) release_one(removed[i]);
    for (size_t i = 0; i < hidden_count; i++) release_one(hidden[i]);
    mem_free(in_order);
    mem_free(hidden);
    mem_free(by_id);
    mem_free(removed);
    in_order = by_id = removed = hidden = NULL;
    command_count = command_room = removed_count = hidden_count = 0;
    registry_generation++;
    id_count = id_room = 0;
}

/* ---- finding ---- */

static const struct command *find_in(const struct table *names, struct slice name) {
    char lower[NAME_MAX_LENGTH];
    size_t len = lower_into(lower, name);
    if (len == 0) return NULL;
    struct slice key = slice_make(lower, len);
    return table_find(names, key, hash_bytes(key));
}

static const struct command *find_full_in(const struct table *names, struct slice full_name) {
    const char *bar = full_name.len ? memchr(full_name.ptr, '|', full_name.len) : NULL;
    if (!bar) return find_in(names, full_name);
    const struct command *parent = find_in(names, slice_between(full_name.ptr, bar));
    return parent ? registry_find_child(parent, slice_between(bar + 1, full_name.ptr + full_name.len)) : NULL;
}

const struct command *registry_find(struct slice name) { return find_in(&by_name, name); }
const struct command *registry_find_full(struct slice name) { return find_full_in(&by_name, name); }
const struct command *registry_find_declared(struct slice name) { return find_full_in(&by_declared, name); }

const struct command *registry_find_child(const struct command *parent, struct slice name) {
    for (uint32_t i = 0; i < parent->child_count; i++)
        if (slice_equal_nocase(slice_of(parent->children[i].name), name)) return &parent->children[i];
    return NULL;
}

const struct command *registry_resolve(const struct slice *argv, size_t argc,
                                       const struct command **container) {
    *container = NULL;
    const struct command *c = registry_find(argv[0]);
    if (!c || !c->children || argc < 2) return c;
    const struct command *child = registry_find_child(c, argv[1]);
    if (!child) *container = c;
    return child;
}

const struct command *registry_resolve_journaled(const struct slice *argv, size_t argc) {
    const struct command *c = find_in(&by_declared, argv[0]);
    if (!c) c = registry_find(argv[0]);
    return c && c->children && argc >= 2 ? registry_find_child(c, argv[1]) : c;
}

size_t registry_count(void) { return command_count; }
uint32_t registry_ids(void) { return id_count; }
const struct command *registry_at(size_t index) {
    assert(index < command_count);
    return in_order[index];
}
const struct command *registry_by_id(uint32_t id) {
    assert(id < id_count);
    return by_id[id];
}
