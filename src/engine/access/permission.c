/* permission.c: see permission.h. */
#include "trivet/engine/access/permission.h"
#include "selector.h"
#include "trivet/base/number.h"
#include "trivet/engine/command/registry.h"

/* A command being asked about. Its keys are found once for all selectors. */
struct question {
    const struct command *command;
    const struct slice *argv;
    size_t argc;
    uint32_t db;
    struct key_positions keys;
    bool has_keys; /* `keys` is filled */
};

static struct verdict denied(enum denial denial, size_t argument) {
    return (struct verdict){ denial, argument };
}
static const struct verdict permitted = { DENIED_NOTHING, 0 };

/* ---- databases ---- */

static bool works_on_data(const struct command *c) {
    bool names_keys = c->keys[0].begin != BEGIN_NONE && !(c->keys[0].flags & KEY_NOT_KEY);
    return (c->flags & (READS | WRITES)) || names_keys || c->find_keys;
}

static struct verdict ask_databases(const struct selector *s, const struct question *q) {
    size_t at[DATABASE_ARGUMENTS_MAX], named = 0;
    if (s->all_databases) return permitted;
    if (q->command->flags & ALL_DATABASES) return denied(DENIED_DATABASE, 0);
    if (q->command->database_arguments) named = q->command->database_arguments(q->argv, q->argc, at);
    for (size_t i = 0; i < named; i++) {
        int64_t db;
        if (!int64_parse(q->argv[at[i]], &db) || db < 0) continue; /* the command itself says what is wrong */
        if (db > UINT32_MAX || !selector_allows_database(s, (uint32_t)db))
            return denied(DENIED_DATABASE, at[i]);
    }
    bool elsewhere = q->command->flags & (SWITCHES_DATABASE | NAMES_ITS_DATABASES);
    if (elsewhere || !works_on_data(q->command) || selector_allows_database(s, q->db)) return permitted;
    return denied(DENIED_DATABASE, 0);
}

/* ---- keys ---- */

static unsigned access_of(uint16_t flags) {
    unsigned access = 0;
    if (flags & KEY_ACCESS) access |= KEY_READ;
    if (flags & (KEY_UPDATE | KEY_INSERT | KEY_DELETE)) access |= KEY_WRITE;
    return access;
}

static struct verdict ask_keys(const struct selector *s, struct question *q) {
    if (s->all_keys) return permitted;
    if (!q->has_keys) (void)command_key_positions(q->command, q->argv, q->argc, &q->keys);
    q->has_keys = true;
    for (size_t i = 0; i < q->keys.count; i++) {
        const struct key_position *k = &q->keys.at[i];
        if (k->flags & KEY_NOT_KEY) continue;
        if (!selector_allows_key(s, q->argv[k->index], access_of(k->flags)))
            return denied(DENIED_KEY, k->index);
    }
    return permitted;
}

/* ---- channels ---- */

static struct verdict ask_channels(const struct selector *s, const struct question *q) {
    enum command_channels channels = q->command->channels;
    if (channels == CHANNELS_NONE || s->all_channels) return permitted;
    size_t end = channels == CHANNEL_FIRST ? 2 : q->argc;
    for (size_t i = 1; i < end; i++)
        if (!selector_allows_channel(s, q->argv[i], channels == CHANNELS_PATTERNS))
            return denied(DENIED_CHANNEL, i);
    return permitted;
}

/* ---- a whole command ---- */

bool permission_at_once(const struct user *u, const struct command *c, const struct slice *argv,
                        size_t argc) {
    const struct selector *s = u->selectors[0];
    if (!s->all_databases || !selector_has_command(s, c)) return false;
    if (c->channels != CHANNELS_NONE && !s->all_channels) return false;
    if (s->all_keys) return true;
    if (c->simple_key == 0 || c->simple_key >= argc) return c->keys[0].begin == BEGIN_NONE && !c->find_keys;
    /* Where access varies with the arguments (SET), the spec has all that there may be. */
    return selector_allows_key(s, argv[c->simple_key], access_of(c->keys[0].flags));
}

static struct verdict ask_selector(const struct selector *s, struct question *q) {
    struct verdict v = ask_databases(s, q);
    if (v.denial) return v;
    if (!selector_allows_command(s, q->command, q->argv, q->argc)) return denied(DENIED_COMMAND, 0);
    v = ask_keys(s, q);
    return v.denial ? v : ask_channels(s, q);
}

static bool is_closer(struct verdict v, struct verdict than) {
    return v.denial > than.denial || (v.denial == than.denial && v.argument > than.argument);
}

static struct verdict ask_selectors(const struct user *u, const struct command *command,
                                    const struct slice *argv, size_t argc, uint32_t db) {
    struct question q = { .command = command, .argv = argv, .argc = argc, .db = db };
    struct verdict closest = denied(DENIED_DATABASE, 0), v = closest;
    for (size_t i = 0; i < u->selector_count; i++) {
        v = ask_selector(u->selectors[i], &q);
        if (!v.denial) break;
        if (is_closer(v, closest)) closest = v;
    }
    key_positions_release(&q.keys);
    return v.denial ? closest : v;
}

bool permission_for_command(const struct user *u, const struct command *command, const struct slice *argv,
                            size_t argc) {
    for (size_t i = 0; i < u->selector_count; i++)
        if (selector_allows_command(u->selectors[i], command, argv, argc)) return true;
    return false;
}

struct verdict permission_ask(const struct user *u, const struct command *command, const struct slice *argv,
                              size_t argc, uint32_t db) {
    if (u->is_unlimited || permission_at_once(u, command, argv, argc)) return permitted;
    return ask_selectors(u, command, argv, argc, db);
}

bool permission_to_read_all(const struct user *u, const struct command *command, const struct slice *argv,
                            size_t argc) {
    for (size_t i = 0; i < u->selector_count; i++)
        if (selector_allows_command(u->selectors[i], command, argv, argc) &&
            selector_allows_all_keys(u->selectors[i], KEY_READ))
            return true;
    return false;
}

bool permission_to_listen(const struct user *u, struct slice channel, bool is_pattern) {
    for (size_t i = 0; i < u->selector_count; i++)
        if (selector_allows_channel(u->selectors[i], channel, is_pattern)) return true;
    return false;
}

/* ---- words ---- */

void denial_tell(const struct user *u, const struct command *command, struct verdict v, struct buf *out) {
    switch (v.denial) {
    case DENIED_DATABASE: buf_append(out, LIT("No permissions to access database")); break;
    case DENIED_COMMAND:
        buf_printf(out, "User %s has no permissions to run the '%s' command", u->name, command->full_name);
        break;
    case DENIED_KEY: buf_append(out, LIT("No permissions to access a key")); break;
    case DENIED_CHANNEL: buf_append(out, LIT("No permissions to access a channel")); break;
    default: assert(!"nothing was denied");
    }
}

void denial_explain(const struct user *u, const struct command *command, const struct slice *argv,
                    struct verdict v, struct buf *out) {
    struct slice what = argv[v.argument];
    switch (v.denial) {
    case DENIED_DATABASE:
        buf_printf(out, "User %s has no permissions to access database %.*s", u->name, SLICE_ARG(what));
        break;
    case DENIED_KEY:
        buf_printf(out, "User %s has no permissions to access the '%.*s' key", u->name, SLICE_ARG(what));
        break;
    case DENIED_CHANNEL:
        buf_printf(out, "User %s has no permissions to access the '%.*s' channel", u->name, SLICE_ARG(what));
        break;
    default: denial_tell(u, command, v, out);
    }
}
