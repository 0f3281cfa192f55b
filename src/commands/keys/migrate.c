/* migrate.c: MIGRATE: keys go to another server: DUMP here, RESTORE there, and when that is done, DEL here.
 *
 * It holds its keys' locks all the while, so nobody changes a key between the dump and the delete: no key is
 * ever lost. A key may be in both servers, when the link breaks before the target's answer came. The price:
 * while it talks to the target, its worker serves nobody else, and other workers wait where they need these
 * keys' shards or all of them (exclusive commands, SCAN, a new connection if it is worker 0's). After the
 * target fell silent that lasts a timeout at most. All commands are sent before the first reply is read. The
 * link is kept for the next ones (migrate_links_private.h). */
#include "dump.h"
#include "migrate_links_private.h"
#include "trivet/base/mem.h"
#include "trivet/commands/arguments/integer.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/transport/link.h"

#define DEFAULT_TIMEOUT_MS 1000
#define FIRST_OPTION 6

struct moving {
    struct slice key;
    struct entry *entry; /* stays valid until something is deleted: looked at before the first reply only */
};

struct migration {
    struct call *call;
    struct link link;
    bool copy, replace;
    int64_t timeout_ms, db;
    struct slice user, password; /* ptr NULL: not given */
    size_t first_key, key_count; /* arguments */
    struct moving *moving;       /* the keys that are there */
    size_t moving_count;
    struct buf error; /* the target's first one, without its minus */
    int64_t selected; /* the database of the link; NONE: it is new */
    bool is_kept;     /* the link was open before */
    bool was_heard;   /* some reply has come: the target may have said of a key that it has it */
};

#define NONE INT64_MIN

/* ---- arguments ---- */

static bool read_keys(struct migration *m, size_t at) {
    struct call *c = m->call;
    if (c->argv[3].len > 0) {
        reply_error_text(c->out,
                         LIT("ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
                             "string"));
        return false;
    }
    m->first_key = at;
    m->key_count = c->argc - at;
    return true;
}

/* What AUTH and AUTH2 are followed by. If they are given more than once, what stands between is hidden too.
 */
static bool migrate_secret(const struct slice *argv, size_t argc, size_t index) {
    size_t from = 0, to = 0;
    for (size_t i = FIRST_OPTION; i < argc && !slice_equal_nocase(argv[i], LIT("KEYS")); i++) {
        size_t count = 0;
        if (slice_equal_nocase(argv[i], LIT("AUTH"))) count = 1;
        if (slice_equal_nocase(argv[i], LIT("AUTH2"))) count = 2;
        if (count == 0) continue;
        if (from == 0) from = i + 1;
        i += count;
        to = i + 1;
    }
    return index >= from && index < to;
}

static bool read_options(struct migration *m) {
    struct call *c = m->call;
    for (size_t i = FIRST_OPTION; i < c->argc; i++) {
        size_t left = c->argc - i - 1;
        if (call_is(c, i, "KEYS")) return read_keys(m, i + 1);
        if (call_is(c, i, "COPY")) {
            m->copy = true;
        } else if (call_is(c, i, "REPLACE")) {
            m->replace = true;
        } else if (call_is(c, i, "AUTH") && left >= 1) {
            m->user = (struct slice){ NULL, 0 };
            m->password = c->argv[++i];
        } else if (call_is(c, i, "AUTH2") && left >= 2) {
            m->user = c->argv[++i];
            m->password = c->argv[++i];
        } else {
            return refuse_syntax(c);
        }
    }
    return true;
}

static bool read_arguments(struct migration *m) {
    struct call *c = m->call;
    if (!read_options(m)) return false;
    if (!integer_argument(c, 5, &m->timeout_ms) || !integer_argument(c, 4, &m->db)) return false;
    if (m->timeout_ms <= 0) m->timeout_ms = DEFAULT_TIMEOUT_MS;
    return true;
}

/* The keys: the one before the database, or, if that is empty, those after KEYS. A password is not taken for
 * KEYS. */
static bool find_migrate_keys(const struct slice *argv, size_t argc, struct key_positions *out) {
    uint16_t flags = KEY_RW | KEY_ACCESS | KEY_DELETE;
    size_t i = FIRST_OPTION;
    for (; argv[3].len == 0 && i < argc && !slice_equal_nocase(argv[i], LIT("KEYS")); i++) {
        if (slice_equal_nocase(argv[i], LIT("AUTH")))
            i++;
        else if (slice_equal_nocase(argv[i], LIT("AUTH2")))
            i += 2;
    }
    if (argv[3].len > 0 || i >= argc)
        key_positions_add(out, 3, flags);
    else
        while (++i < argc) key_positions_add(out, i, flags);
    return true;
}

static void find_entries(struct migration *m) {
    struct call *c = m->call;
    m->moving = mem_alloc((m->key_count + 1) * sizeof *m->moving);
    for (size_t i = 0; i < m->key_count; i++) {
        struct slice key = c->argv[m->first_key + i];
        struct entry *e = keyspace_read(&c->view, key);
        if (e) m->moving[m->moving_count++] = (struct moving){ key, e };
    }
}

/* ---- out ---- */

static bool send_number(struct link *l, int64_t n) {
    char digits[INT64_TEXT_MAX];
    return link_word(l, slice_make(digits, int64_format(digits, n)));
}

static bool send_key(struct migration *m, const struct moving *it) {
    int64_t now_ms = m->call->view.now_ms, expiry_ms = entry_expiry_ms(it->entry), ttl_ms = 0;
    if (expiry_ms != NO_EXPIRY)
        ttl_ms = expiry_ms > now_ms ? expiry_ms - now_ms : 1; /* 0 would be for ever */
    struct buf payload;
    make_migration_payload(&payload, it->entry, now_ms);
    struct link *l = &m->link;
    /* Of a slot that moves: the target may take the key before the slot is its own. */
    struct slice restore = options.cluster_enabled ? LIT("RESTORE-ASKING") : LIT("RESTORE");
    bool sent = link_header(l, m->replace ? 5 : 4) && link_word(l, restore) && link_word(l, it->key) &&
                send_number(l, ttl_ms) && link_word(l, buf_slice(&payload)) &&
                (!m->replace || link_word(l, LIT("REPLACE")));
    buf_release(&payload);
    return sent;
}

/* A kept link is one of this user, and mostly one to this database. */
static bool logs_in(const struct migration *m) { return m->password.ptr && m->selected == NONE; }
static bool selects(const struct migration *m) { return m->selected != m->db; }

static bool send_auth(struct migration *m) {
    struct link *l = &m->link;
    return link_header(l, m->user.ptr ? 3 : 2) && link_word(l, LIT("AUTH")) &&
           (!m->user.ptr || link_word(l, m->user)) && link_word(l, m->password);
}

static bool send_everything(struct migration *m) {
    struct link *l = &m->link;
    if (logs_in(m) && !send_auth(m)) return false;
    if (selects(m) && !(link_header(l, 2) && link_word(l, LIT("SELECT")) && send_number(l, m->db)))
        return false;
    for (size_t i = 0; i < m->moving_count; i++)
        if (!send_key(m, &m->moving[i])) return false;
    return link_flush(l);
}

/* ---- back ---- */

/* One reply: *fine says whether it was no error. False if none came, or something that is no reply to such a
 * command. */
static bool read_reply(struct migration *m, bool *fine) {
    struct slice line;
    if (!link_line(&m->link, &line)) return false;
    m->was_heard = true;
    if (line.len == 0) return false;
    *fine = line.ptr[0] == '+';
    if (*fine) return true;
    if (line.ptr[0] != '-') return false;
    if (m->error.len == 0) buf_append(&m->error, slice_make(line.ptr + 1, line.len - 1));
    return true;
}

/* A key that was named twice is gone at the second time. */
static void drop_key(struct call *c, struct slice key) {
    struct entry *e = keyspace_write(&c->view, key);
    if (!e) return;
    keyspace_delete(&c->view, e, options.lazyfree_lazy_server_del);
    changed(c, key, NOTIFY_GENERIC, "del", EFFECT(LIT("DEL"), key));
}

/* In a database that could not be selected, or under a name that was not accepted, a RESTORE may succeed
 * nevertheless: that is another place than the one meant, so the key stays here too. */
static bool read_everything(struct migration *m, bool *entered) {
    bool fine;
    *entered = true;
    for (int i = logs_in(m) + selects(m); i > 0; i--) {
        if (!read_reply(m, &fine)) return false;
        *entered &= fine;
    }
    for (size_t i = 0; i < m->moving_count; i++) {
        if (!read_reply(m, &fine)) return false;
        if (fine && *entered && !m->copy) drop_key(m->call, m->moving[i].key);
    }
    return true;
}

/* ---- the command ---- */

#define BROKEN_WHILE(doing) LIT("IOERR error or timeout " doing)

/* What went wrong with the link, or nothing. *entered: what was meant for this database reached it. */
static struct slice converse(struct migration *m, bool *entered) {
    if (!send_everything(m)) return BROKEN_WHILE("writing to target instance");
    if (!read_everything(m, entered)) return BROKEN_WHILE("reading to target instance");
    return LIT("");
}

static enum link_result open_link(struct migration *m, const struct migrate_way *way, bool may_be_kept) {
    m->is_kept = may_be_kept && migrate_link_find(way, &m->link, &m->selected);
    if (m->is_kept) {
        link_set_timeout(&m->link, m->timeout_ms);
        return LINK_OPEN;
    }
    m->selected = NONE;
    return link_open(&m->link, &way->target, m->timeout_ms, NULL);
}

/* One conversation, on a kept link if that may be. Returns what went wrong with the link, or nothing. */
static struct slice try_to_migrate(struct migration *m, const struct migrate_way *way, bool may_be_kept) {
    bool entered = false;
    switch (open_link(m, way, may_be_kept)) {
    case LINK_OPEN: break;
    case LINK_REFUSED:
        return BROKEN_WHILE("writing to target instance"); /* Redis sees it at its first write */
    case LINK_UNREACHABLE: return BROKEN_WHILE("connecting to the client");
    }
    struct slice broken = converse(m, &entered);
    if (broken.len == 0 && entered)
        migrate_link_keep_take(way, &m->link, m->db, m->call->view.now_ms);
    else
        link_close(&m->link);
    return broken;
}

static void migrate(struct migration *m) {
    struct call *c = m->call;
    const struct migrate_way way = { .target = { .host = c->argv[1],
                                                 .port = c->argv[2],
                                                 .source = options.bind_source_addr,
                                                 .tls = options.tls_cluster },
                                     .user = m->user,
                                     .password = m->password };
    struct slice broken = try_to_migrate(m, &way, true);
    if (broken.len > 0 && m->is_kept && !m->was_heard && !m->link.timed_out)
        broken = try_to_migrate(m, &way, false);
    if (broken.len > 0)
        reply_error_text(c->out, broken);
    else if (m->error.len > 0)
        reply_error_printf(c->out, "ERR Target instance replied with error: %.*s",
                           SLICE_ARG(buf_slice(&m->error)));
    else
        reply_ok(c->out);
    buf_release(&m->error);
}

/* MIGRATE host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username
 * password] [KEYS key [key ...]] */
static void cmd_migrate(struct call *c) {
    struct migration m = { .call = c, .first_key = 3, .key_count = 1, .selected = NONE };
    if (!read_arguments(&m)) return;
    find_entries(&m);
    if (m.moving_count == 0)
        reply_simple(c->out, LIT("NOKEY"));
    else
        migrate(&m);
    mem_free(m.moving);
}

#define MOVED (KEY_RW | KEY_ACCESS | KEY_DELETE)

const struct command migrate_commands[] = {
    { .name = "MIGRATE",
      .run = cmd_migrate,
      .arity = -6,
      .kind = KEYED,
      .flags = WRITES | MOVABLE_KEYS,
      .moves_keys = true,
      .secret = migrate_secret,
      .categories = CAT_KEYSPACE | CAT_DANGEROUS,
      .keys = { KEY_AT(3, MOVED),
                { .flags = MOVED | KEY_INCOMPLETE,
                  .begin = BEGIN_KEYWORD,
                  .index = -2,
                  .keyword = "KEYS",
                  .find = FIND_RANGE,
                  .last = -1,
                  .step = 1 } },
      .find_keys = find_migrate_keys,
      .since = "2.6.0",
      .summary = "Moves keys to another server.",
      .complexity = "O(N) where N is the size of the values, and the time that the other server takes.",
      .syntax = "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] "
                "[AUTH password | AUTH2 username password] [KEYS key [key ...]]",
      .tips = "nondeterministic_output" },
    { .name = NULL },
};
