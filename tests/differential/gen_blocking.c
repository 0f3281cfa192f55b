/* gen_blocking.c: clients that really wait, and another one that serves them.
 *
 * A few waiters block one after the other, so that their order is known; then commands change the keys they
 * wait for; those who still wait at the end are let go by CLIENT UNBLOCK. Each must have got the same on both
 * sides. */
#include "../harness/check.h"
#include "differential.h"
#include <stdlib.h>

#define WAITERS 4

struct waiter {
    struct client *clients[2]; /* the reference's, Trivet's */
    int64_t ids[2];
    struct words command;
};

static const char *const kinds[] = { "list", "zset", "stream", NULL };

static void add_place(struct chance *c, struct words *w) { words_printf(w, "block:%zu", chance_below(c, 3)); }

static void add_places(struct chance *c, struct words *w, bool counted) {
    size_t keys = 1 + chance_below(c, 3);
    if (counted) words_printf(w, "%zu", keys);
    for (; keys > 0; keys--) add_place(c, w);
}

static void add_end(struct chance *c, struct words *w) {
    words_add_str(w, chance_of(c, 50) ? "LEFT" : "RIGHT");
}

static void make_list_waiter(struct chance *c, struct words *w) {
    static const char *const names[] = { "BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP" };
    size_t which = chance_below(c, COUNT_OF(names));
    words_add_str(w, names[which]);
    if (which == 4) {
        words_add_str(w, "0");
        add_places(c, w, true);
        add_end(c, w);
        if (chance_of(c, 50)) words_add_str(w, "COUNT");
        if (chance_of(c, 50) && w->items[w->count - 1].len == 5 && w->items[w->count - 1].ptr[0] == 'C')
            words_add_str(w, "2");
        return;
    }
    if (which < 2) {
        add_places(c, w, false);
    } else {
        add_place(c, w);
        add_place(c, w);
    }
    if (which == 2) {
        add_end(c, w);
        add_end(c, w);
    }
    words_add_str(w, "0");
}

static void make_zset_waiter(struct chance *c, struct words *w) {
    static const char *const names[] = { "BZPOPMIN", "BZPOPMAX", "BZMPOP" };
    size_t which = chance_below(c, COUNT_OF(names));
    words_add_str(w, names[which]);
    if (which == 2) words_add_str(w, "0");
    add_places(c, w, which == 2);
    words_add_str(w, which < 2 ? "0" : chance_of(c, 50) ? "MIN" : "max");
    if (which == 2 && chance_of(c, 50)) {
        words_add_str(w, "COUNT");
        words_printf(w, "%zu", 1 + chance_below(c, 3));
    }
}

static void make_stream_waiter(struct chance *c, struct words *w) {
    bool group = chance_of(c, 50);
    if (!words_split(w, group ? "XREADGROUP GROUP g a" : "XREAD")) abort();
    if (chance_of(c, 30)) {
        words_add_str(w, "COUNT");
        words_printf(w, "%zu", 1 + chance_below(c, 3));
    }
    words_add_str(w, "BLOCK");
    words_add_str(w, "0");
    if (group && chance_of(c, 30)) words_add_str(w, "NOACK");
    words_add_str(w, "STREAMS");
    size_t from = w->count, keys = 1 + chance_below(c, 2);
    for (size_t i = 0; i < keys; i++) words_printf(w, "block:%zu", (from + i) % 3);
    for (size_t i = 0; i < keys; i++) words_add_str(w, group ? ">" : "$");
}

static void make_waiter(struct chance *c, struct words *w, const char *kind) {
    words_clear(w);
    if (kind[0] == 'l')
        make_list_waiter(c, w);
    else if (kind[0] == 'z')
        make_zset_waiter(c, w);
    else
        make_stream_waiter(c, w);
}

/* ---- what wakes them ---- */

static void make_push(struct chance *c, struct words *w, const char *kind) {
    static const char *const pushes[] = { "LPUSH", "RPUSH", NULL };
    bool list = kind[0] == 'l', zset = kind[0] == 'z';
    words_add_str(w, list ? chance_pick(c, pushes) : zset ? "ZADD" : "XADD");
    add_place(c, w);
    for (size_t i = list || zset ? 1 + chance_below(c, 3) : 1; i > 0; i--) {
        if (zset) words_printf(w, "%zu", chance_below(c, 9));
        if (!list && !zset) words_add_str(w, "0-*");
        if (!list && !zset) words_add_str(w, "f");
        words_printf(w, "%zu", chance_below(c, 100));
    }
}

/* No MULTI in MULTI, which 7.0 takes otherwise; and none for streams: 7.0 lets readers of a group go as soon
 * as the key is deleted, even if the transaction makes it anew. */
static void make_change(struct chance *c, struct words *w, const char *kind, bool *inside) {
    static const char *const changes[] = { "DEL", "RENAME", "COPY", "SET", "SADD", "TYPE", NULL };
    words_clear(w);
    if (strcmp(kind, "stream") != 0 && chance_of(c, 15)) {
        words_add_str(w, *inside ? "EXEC" : "MULTI");
        *inside = !*inside;
        return;
    }
    if (chance_of(c, 75)) {
        make_push(c, w, kind);
        return;
    }
    const char *name = chance_pick(c, changes);
    words_add_str(w, name);
    add_place(c, w);
    if (name[0] == 'R' || name[0] == 'C') add_place(c, w);
    if (name[0] == 'S') words_add_str(w, "x");
}

/* ---- the two sides in step ---- */

static struct side *side_of(struct pair *p, int i) { return i == 0 ? &p->reference : &p->trivet; }

/* Until the server says that it blocks one more, or has answered. */
static void await_blocked(struct side *side, struct client *waiter, int64_t blocked) {
    assert_soon(client_has_reply(waiter) ||
                info_number(side->inspector, "clients", "blocked_clients") >= blocked);
}

static void waiter_begin(struct pair *p, struct waiter *w, int database) {
    for (int i = 0; i < 2; i++) {
        struct side *side = side_of(p, i);
        w->clients[i] = server_connect(side->server);
        w->ids[i] = client_ask_int(w->clients[i], "CLIENT ID");
        node_free(client_ask_node(w->clients[i], "SELECT %d", database));
        int64_t blocked = info_number(side->inspector, "clients", "blocked_clients");
        client_queue_words(w->clients[i], &w->command);
        client_flush(w->clients[i]);
        await_blocked(side, w->clients[i], blocked + 1);
    }
    history_note("waiter", &w->command, NULL);
}

/* Lets it go if it still waits, then compares what it got. */
static void waiter_end(struct pair *p, struct chance *c, struct waiter *w) {
    struct node *replies[2], *unblocked[2];
    struct words command = { 0 };
    bool error = chance_of(c, 30);
    if (!words_split(&command, "CLIENT UNBLOCK (a waiter)")) abort();
    for (int i = 0; i < 2; i++) {
        unblocked[i] = client_ask_node(side_of(p, i)->inspector, "CLIENT UNBLOCK %lld %s",
                                       (long long)w->ids[i], error ? "ERROR" : "TIMEOUT");
        replies[i] = client_read_or_end(w->clients[i]);
    }
    if (!replies_match(&w->command, COMPARE_EXACT, replies[0], replies[1]))
        report_difference(&w->command, replies[0], replies[1], "waiter");
    if (!replies_match(&command, COMPARE_EXACT, unblocked[0], unblocked[1]))
        report_difference(&command, unblocked[0], unblocked[1], "inspector");
    for (int i = 0; i < 2; i++) {
        node_free(replies[i]);
        node_free(unblocked[i]);
        client_close(w->clients[i]);
    }
    words_release(&command);
    words_release(&w->command);
}

static void prepare_keys(struct pair *p, const char *kind) {
    ask_line(p, COMPARE_EXACT, "DEL block:0 block:1 block:2");
    for (int i = 0; kind[0] == 's' && kind[1] == 't' && i < 3; i++) {
        struct text line = { 0 };
        text_printf(&line, "XGROUP CREATE block:%d g $ MKSTREAM", i);
        ask_line(p, COMPARE_EXACT, text_str(&line));
        text_clear(&line);
        text_printf(&line, "XGROUP CREATECONSUMER block:%d g a", i);
        ask_line(p, COMPARE_EXACT, text_str(&line));
        text_release(&line);
    }
}

static void probe_blocking(struct pair *p, struct chance *c) {
    struct waiter waiters[WAITERS] = { 0 };
    struct words w = { 0 };
    bool inside = false;
    const char *kind = chance_pick(c, kinds);
    int database = (int)chance_below(c, DATABASES);
    size_t count = 1 + chance_below(c, WAITERS);
    words_add_str(&w, "SELECT");
    words_printf(&w, "%d", database);
    node_free(ask_both(p, COMPARE_EXACT, &w));
    prepare_keys(p, kind);
    for (size_t i = 0; i < count; i++) {
        make_waiter(c, &waiters[i].command, kind);
        waiter_begin(p, &waiters[i], database);
    }
    for (size_t i = 1 + chance_below(c, 8); i > 0; i--) {
        make_change(c, &w, kind, &inside);
        node_free(ask_both(p, COMPARE_EXACT, &w));
    }
    if (inside) ask_line(p, COMPARE_EXACT, "EXEC");
    for (size_t i = 0; i < count; i++) waiter_end(p, c, &waiters[i]);
    ask_line(p, COMPARE_EXACT, "DEL block:0 block:1 block:2");
    words_release(&w);
}

const struct probe blocking_probes[] = { { "waiting clients", probe_blocking }, { NULL, NULL } };
