/* command_info.c: a command's row as COMMAND INFO shows it. */
#include "command.h"
#include "trivet/base/buf.h"
#include "trivet/engine/command/registry.h"

struct bit_name {
    unsigned bit;
    const char *name;
};

/* In the order in which clients are used to see them. */
static const struct bit_name flag_names[] = {
    { WRITES, "write" },
    { READS, "readonly" },
    { GROWS, "denyoom" },
    { ADMIN, "admin" },
    { PUBSUB, "pubsub" },
    { NOSCRIPT, "noscript" },
    { BLOCKS, "blocking" },
    { LOADING, "loading" },
    { STALE, "stale" },
    { SKIP_MONITOR, "skip_monitor" },
    { SKIP_COMMANDLOG, "skip_commandlog" },
    { ASKING, "asking" },
    { FAST, "fast" },
    { NO_AUTH, "no_auth" },
    { NO_MANDATORY_KEYS, "no_mandatory_keys" },
    { NO_ASYNC_LOADING, "no_async_loading" },
    { NO_MULTI, "no_multi" },
    { MOVABLE_KEYS, "movablekeys" },
    { ALLOW_BUSY, "allow_busy" },
};

static const struct bit_name key_flag_names[] = {
    { KEY_RO, "RO" },
    { KEY_RW, "RW" },
    { KEY_OW, "OW" },
    { KEY_RM, "RM" },
    { KEY_ACCESS, "access" },
    { KEY_UPDATE, "update" },
    { KEY_INSERT, "insert" },
    { KEY_DELETE, "delete" },
    { KEY_NOT_KEY, "not_key" },
    { KEY_INCOMPLETE, "incomplete" },
    { KEY_VARIABLE_FLAGS, "variable_flags" },
};

static void reply_names(struct reply *out, unsigned bits, const struct bit_name *names, size_t count) {
    size_t set = 0;
    for (size_t i = 0; i < count; i++) set += (bits & names[i].bit) != 0;
    reply_set(out, set);
    for (size_t i = 0; i < count; i++)
        if (bits & names[i].bit) reply_simple(out, slice_of(names[i].name));
}

void reply_key_flags(struct reply *out, unsigned flags) {
    reply_names(out, flags, key_flag_names, COUNT_OF(key_flag_names));
}

static size_t spec_count(const struct command *command) {
    size_t count = 0;
    while (count < KEY_SPECS_MAX && command->keys[count].begin != BEGIN_NONE) count++;
    return count;
}

static bool is_plain(const struct key_spec *k) { return k->begin == BEGIN_INDEX && k->find == FIND_RANGE; }

/* Clients that know only "first, last, step" cannot find all keys of these. */
static bool has_movable_keys(const struct command *command) {
    for (size_t i = 0; i < spec_count(command); i++)
        if (!is_plain(&command->keys[i])) return true;
    return command->flags & MOVABLE_KEYS;
}

/* ---- the range of clients that know no key specs ---- */

struct range {
    int first, last, step;
};

static int absolute_last(const struct key_spec *k) { return k->last >= 0 ? k->index + k->last : k->last; }

/* Specs that follow each other are one range. */
static struct range range_of(const struct command *command) {
    size_t count = spec_count(command);
    const struct key_spec *k = command->keys;
    if (count == 1 && is_plain(k)) return (struct range){ k->index, absolute_last(k), k->step };
    struct range out = { 0, 0, 0 };
    for (size_t i = 0; i < count; i++, k++) {
        if (!is_plain(k) || k->step != 1) continue;
        if (out.first && (out.last < 0 || out.last != k->index - 1)) continue;
        if (!out.first) out = (struct range){ k->index, 0, 1 };
        out.last = absolute_last(k);
    }
    return out;
}

/* ---- key specs ---- */

static void reply_pair(struct reply *out, const char *name, int value) {
    reply_bulk(out, slice_of(name));
    reply_int(out, value);
}

static void reply_section(struct reply *out, const char *section, const char *type, size_t pairs) {
    reply_bulk(out, slice_of(section));
    reply_map(out, 2);
    reply_bulk(out, LIT("type"));
    reply_bulk(out, slice_of(type));
    reply_bulk(out, LIT("spec"));
    reply_map(out, pairs);
}

static void reply_begin(struct reply *out, const struct key_spec *k) {
    if (k->begin == BEGIN_INDEX) {
        reply_section(out, "begin_search", "index", 1);
        reply_pair(out, "index", k->index);
    } else if (k->begin == BEGIN_KEYWORD) {
        reply_section(out, "begin_search", "keyword", 2);
        reply_bulk(out, LIT("keyword"));
        reply_bulk(out, slice_of(k->keyword));
        reply_pair(out, "startfrom", k->index);
    } else {
        reply_section(out, "begin_search", "unknown", 0);
    }
}

static void reply_find(struct reply *out, const struct key_spec *k) {
    if (k->begin == BEGIN_UNKNOWN || k->find == FIND_UNKNOWN) {
        reply_section(out, "find_keys", "unknown", 0);
    } else if (k->find == FIND_RANGE) {
        reply_section(out, "find_keys", "range", 3);
        reply_pair(out, "lastkey", k->last);
        reply_pair(out, "keystep", k->step);
        reply_pair(out, "limit", k->limit);
    } else {
        reply_section(out, "find_keys", "keynum", 3);
        reply_pair(out, "keynumidx", k->keynum_index);
        reply_pair(out, "firstkey", k->first_key);
        reply_pair(out, "keystep", k->step);
    }
}

static void reply_key_spec(struct reply *out, const struct key_spec *k) {
    reply_map(out, 3);
    reply_bulk(out, LIT("flags"));
    reply_key_flags(out, k->flags);
    reply_begin(out, k);
    reply_find(out, k);
}

/* ---- the rest ---- */

static void reply_categories(struct reply *out, uint32_t categories) {
    size_t count = 0;
    for (int i = 0; i < CATEGORY_COUNT; i++) count += categories >> i & 1;
    reply_set(out, count);
    for (int i = 0; i < CATEGORY_COUNT; i++) {
        if (!(categories >> i & 1)) continue;
        struct buf name = { 0 };
        buf_printf(&name, "@%s", category_names[i]);
        reply_simple(out, buf_slice(&name));
        buf_release(&name);
    }
}

static void reply_tips(struct reply *out, const char *tips) {
    size_t count = 0;
    struct chunk *at = reply_later(out);
    while (tips && *tips) {
        const char *end = strchrnul(tips, ',');
        reply_bulk(out, slice_between(tips, end));
        count++;
        tips = *end ? end + 1 : end;
    }
    reply_later_set(out, at, count);
}

void reply_command_info(struct reply *out, const struct command *command) {
    struct range range = range_of(command);
    unsigned flags = command->flags | (has_movable_keys(command) ? MOVABLE_KEYS : 0);
    reply_array(out, 10);
    reply_bulk(out, slice_of(command->full_name));
    reply_int(out, command->arity);
    reply_names(out, flags, flag_names, COUNT_OF(flag_names));
    reply_int(out, range.first);
    reply_int(out, range.last);
    reply_int(out, range.step);
    reply_categories(out, command->categories);
    reply_tips(out, command->tips);
    reply_set(out, spec_count(command));
    for (size_t i = 0; i < spec_count(command); i++) reply_key_spec(out, &command->keys[i]);
    reply_set(out, command->child_count);
    for (uint32_t i = 0; i < command->child_count; i++) reply_command_info(out, &command->children[i]);
}
