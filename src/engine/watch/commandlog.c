/* commandlog.c: three lists of remembered commands, the newest first, each with its own limit of length.
 *
 * An entry is one allocation: the struct, its argument slices, then all bytes. Entries are rare, so one lock
 * guards all. */
#include "trivet/engine/watch/commandlog.h"
#include "trivet/base/buf.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/command/secret.h"

#define ARGUMENTS_MAX 32
#define ARGUMENT_MAX 128 /* bytes */

struct node {
    struct node *newer, *older;
    struct commandlog_entry entry;
};

static struct lock log_lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct log {
    struct node *newest, *oldest;
    size_t length;
    uint64_t next_id;
} logs[COMMANDLOG_TYPES];

static int64_t threshold_of(enum commandlog_type type) {
    switch (type) {
    case COMMANDLOG_LARGE_REQUEST: return options.large_request_bytes;
    case COMMANDLOG_LARGE_REPLY: return options.large_reply_bytes;
    default: return options.slow_execution_us;
    }
}

static int64_t max_length_of(enum commandlog_type type) {
    switch (type) {
    case COMMANDLOG_LARGE_REQUEST: return options.large_request_max_len;
    case COMMANDLOG_LARGE_REPLY: return options.large_reply_max_len;
    default: return options.slow_execution_max_len;
    }
}

/* ---- an entry ---- */

/* Appends what is kept of one argument. */
static void add_argument(struct buf *bytes, const struct call *c, size_t index) {
    struct slice text = argument_shown(c->command, c->argv, c->argc, index);
    if (text.len <= ARGUMENT_MAX) {
        buf_append(bytes, text);
    } else {
        buf_append(bytes, slice_make(text.ptr, ARGUMENT_MAX));
        buf_printf(bytes, "... (%zu more bytes)", text.len - ARGUMENT_MAX);
    }
}

/* Writes the arguments one after the other, and the end of each to `ends`; returns how many. */
static size_t gather_arguments(struct buf *bytes, const struct call *c, size_t ends[ARGUMENTS_MAX]) {
    size_t shown = c->argc <= ARGUMENTS_MAX ? c->argc : ARGUMENTS_MAX - 1;
    for (size_t i = 0; i < shown; i++) {
        add_argument(bytes, c, i);
        ends[i] = bytes->len;
    }
    if (shown == c->argc) return shown;
    buf_printf(bytes, "... (%zu more arguments)", c->argc - shown);
    ends[shown] = bytes->len;
    return shown + 1;
}

static struct node *node_new(const struct call *c, int64_t value) {
    assert(c->argc > 0);
    struct buf bytes = { 0 };
    size_t ends[ARGUMENTS_MAX];
    size_t count = gather_arguments(&bytes, c, ends);
    const char *peer = c->client->peer, *name = c->client->name ? c->client->name : "";
    if (c->origin->speaker) peer = "?:0", name = ""; /* a script has no address */
    size_t peer_size = strlen(peer) + 1, name_size = strlen(name) + 1;

    struct node *n =
        mem_alloc_zero(sizeof *n + count * sizeof(struct slice) + bytes.len + peer_size + name_size);
    struct slice *argv = (struct slice *)(n + 1);
    char *to = (char *)(argv + count);
    if (bytes.len) memcpy(to, bytes.ptr, bytes.len);
    for (size_t i = 0; i < count; i++) argv[i] = slice_between(to + (i ? ends[i - 1] : 0), to + ends[i]);
    char *peer_at = to + bytes.len, *name_at = peer_at + peer_size;
    memcpy(peer_at, peer, peer_size);
    memcpy(name_at, name, name_size);
    n->entry = (struct commandlog_entry){
        .time_s = c->view.now_ms / 1000,
        .value = value,
        .argv = argv,
        .argc = count,
        .peer = peer_at,
        .name = name_at,
    };
    buf_release(&bytes);
    return n;
}

/* ---- a list ---- */

static void drop_oldest(struct log *l) {
    struct node *gone = l->oldest;
    assert(gone && l->length > 0);
    l->oldest = gone->newer;
    if (l->oldest)
        l->oldest->older = NULL;
    else
        l->newest = NULL;
    l->length--;
    mem_free(gone);
}

static void trim_log(enum commandlog_type type) {
    int64_t max = max_length_of(type);
    while (logs[type].length > (max > 0 ? (uint64_t)max : 0)) drop_oldest(&logs[type]);
}

static void push_command(enum commandlog_type type, struct node *n) {
    struct log *l = &logs[type];
    assert(!l->newest == !l->oldest && !l->newest == (l->length == 0));
    n->entry.id = l->next_id++;
    n->older = l->newest;
    if (l->newest)
        l->newest->newer = n;
    else
        l->oldest = n;
    l->newest = n;
    l->length++;
    trim_log(type);
}

void commandlog_note(const struct call *c, int64_t us, uint64_t reply_bytes) {
    if (c->command->flags & SKIP_COMMANDLOG) return;
    const int64_t value[COMMANDLOG_TYPES] = {
        [COMMANDLOG_SLOW] = us,
        [COMMANDLOG_LARGE_REQUEST] = (int64_t)c->request_bytes,
        [COMMANDLOG_LARGE_REPLY] = (int64_t)reply_bytes,
    };
    for (int type = 0; type < COMMANDLOG_TYPES; type++) {
        int64_t threshold = threshold_of((enum commandlog_type)type);
        if (threshold < 0 || value[type] < threshold || max_length_of((enum commandlog_type)type) <= 0)
            continue;
        struct node *n = node_new(c, value[type]);
        lock_take(&log_lock);
        push_command((enum commandlog_type)type, n);
        lock_drop(&log_lock);
    }
}

void commandlog_each(enum commandlog_type type, size_t max,
                     void (*visit)(void *arg, const struct commandlog_entry *entry), void *arg) {
    assert(type < COMMANDLOG_TYPES);
    lock_take(&log_lock);
    for (const struct node *n = logs[type].newest; n && max > 0; n = n->older, max--) visit(arg, &n->entry);
    lock_drop(&log_lock);
}

size_t commandlog_length(enum commandlog_type type) {
    assert(type < COMMANDLOG_TYPES);
    lock_take(&log_lock);
    size_t length = logs[type].length;
    lock_drop(&log_lock);
    return length;
}

void commandlog_reset(enum commandlog_type type) {
    assert(type < COMMANDLOG_TYPES);
    lock_take(&log_lock);
    while (logs[type].length > 0) drop_oldest(&logs[type]);
    lock_drop(&log_lock);
}

void commandlog_trim(void) {
    lock_take(&log_lock);
    for (int type = 0; type < COMMANDLOG_TYPES; type++) trim_log((enum commandlog_type)type);
    lock_drop(&log_lock);
}
