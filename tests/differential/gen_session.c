/* gen_session.c: commands that change what a connection is, each on a connection of its own that ends with
 * it: MONITOR, CLIENT TRACKING, CLIENT REPLY, QUIT; and settings that hold for a moment only. */
#include "differential.h"
#include <stdlib.h>

#define READY "all-done" /* ECHO of it tells that the connection's own commands ran */
#define LAST "the-end"   /* and that those of the other connection ran too */

static bool says(const struct node *n, const char *word) {
    struct text text = { 0 };
    node_describe(n, &text);
    bool found = strstr(text_str(&text), word) != NULL;
    text_release(&text);
    return found;
}

/* A line of MONITOR without its time and its address. */
static void forget_origin(struct node *n) {
    const char *from = n->kind == '+' && n->bytes.len > 0 ? strchr(text_str(&n->bytes), '[') : NULL;
    const char *end = from ? strchr(from, ']') : NULL;
    const char *database_end = from ? strchr(from, ' ') : NULL;
    if (!end || !database_end || database_end > end) return;
    struct text kept = { 0 };
    text_append(&kept, from, (size_t)(database_end - from));
    text_append_str(&kept, end);
    text_release(&n->bytes);
    n->bytes = kept;
}

static void append(struct node *all, struct node *n) {
    all->items = realloc(all->items, (all->count + 1) * sizeof(all->items[0]));
    if (!all->items) abort();
    all->items[all->count++] = n;
}

/* Reads to the reply that says `word`, and on until there are `count`: what another worker sends may come
 * later. */
static void read_to(struct client *client, struct node *all, const char *word, size_t count) {
    bool reached = false;
    while (!reached || all->count < count) {
        struct node *n = client_read_or_end(client);
        if (!n) return;
        reached = reached || says(n, word);
        forget_origin(n);
        append(all, n);
    }
}

/* `lines` go out on a fresh connection, `meanwhile` on the inspector's, and then whatever came is compared.
 */
struct session {
    const char *lines[6], *meanwhile[8];
};

static const struct session sessions[] = {
    { { "MONITOR" }, { "SET mon:a 1", "GET mon:a", "PING", "SELECT 3", "EXEC", "DEL mon:a" } },
    { { "MULTI", "GET k", "QUIT", "PING" }, { NULL } },
    { { "QUIT" }, { NULL } },
    { { "CLIENT TRACKING ON OPTIN OPTOUT", "CLIENT TRACKING ON REDIRECT 0", "CLIENT TRACKING x" }, { NULL } },
    { { "CLIENT REPLY OFF", "PING", "GET none", "CLIENT REPLY ON" }, { NULL } },
    { { "CLIENT REPLY SKIP", "PING", "PING" }, { NULL } },
    { { "HELLO 3 SETNAME t", "CLIENT TRACKING ON", "GET track:a", "GET track:b" },
      { "SET track:a 1", "SET track:c 1", "SET track:a 2", "DEL track:a track:c" } },
    { { "HELLO 3 SETNAME t", "CLIENT TRACKING ON BCAST PREFIX track:", "CLIENT TRACKINGINFO" },
      { "SET track:a 1", "SET other:a 1", "DEL track:a other:a" } },
    { { "HELLO 3 SETNAME t", "CLIENT TRACKING ON OPTIN", "GET track:a", "CLIENT CACHING YES", "GET track:b" },
      { "SET track:a 1", "SET track:b 1", "DEL track:a track:b" } },
};

static void note_lines(const struct session *session, const struct node *reply) {
    struct words w = { 0 };
    for (size_t i = 0; i < COUNT_OF(session->lines) && session->lines[i]; i++) {
        if (!words_split(&w, session->lines[i])) abort();
        coverage_note(&w, reply);
        history_note("session", &w, NULL);
    }
    words_release(&w);
}

/* All that the connection got; at least `count` replies, unless it ends before. */
static struct node *run_session(struct side *side, const struct session *session, size_t count) {
    struct client *client = server_connect(side->server);
    struct node *all = calloc(1, sizeof(*all));
    bool monitors = strcmp(session->lines[0], "MONITOR") == 0;
    if (!all) abort();
    all->kind = '*';
    for (size_t i = 0; i < COUNT_OF(session->lines) && session->lines[i]; i++) {
        client_send(client, "%s", session->lines[i]);
        /* What HELLO says is each server's own. */
        if (i == 0 && session->meanwhile[0]) node_free(client_read(client));
    }
    if (session->meanwhile[0] && !monitors) {
        client_send(client, "ECHO " READY);
        read_to(client, all, READY, 0);
    }
    for (size_t i = 0; i < COUNT_OF(session->meanwhile) && session->meanwhile[i]; i++)
        node_free(client_ask_node(side->inspector, "%s", session->meanwhile[i]));
    if (monitors)
        node_free(client_ask_node(side->inspector, "ECHO " LAST));
    else
        client_send(client, "ECHO " LAST);
    read_to(client, all, LAST, count);
    client_close(client);
    return all;
}

static void probe_session(struct pair *p, struct chance *c) {
    const struct session *session = &sessions[chance_below(c, COUNT_OF(sessions))];
    struct words w = { 0 };
    words_printf(&w, "session %s", session->lines[0]);
    struct node *reference = run_session(&p->reference, session, 0);
    struct node *trivet = run_session(&p->trivet, session, reference->count);
    note_lines(session, reference);
    if (!replies_match(&w, COMPARE_SORTED, reference, trivet))
        report_difference(&w, reference, trivet, "session");
    node_free(reference);
    node_free(trivet);
    words_release(&w);
}

/* OBJECT FREQ answers only under such a policy; nothing is evicted, there is no limit. */
static void probe_freq(struct pair *p, struct chance *c) {
    static bool tested;
    ask_line(p, COMPARE_EXACT, "CONFIG SET lfu-decay-time 0"); /* two clocks may stand on two minutes */
    ask_line(p, COMPARE_EXACT, "CONFIG SET maxmemory-policy allkeys-lfu");
    ask_line(p, COMPARE_EXACT, "SET freq:a text");
    ask_line(p, COMPARE_EXACT, "OBJECT FREQ freq:a");
    ask_line(p, COMPARE_EXACT, "OBJECT FREQ none");
    ask_line(p, COMPARE_EXACT, "OBJECT IDLETIME freq:a");
    ask_line(p, COMPARE_EXACT, "DEL freq:a");
    ask_line(p, COMPARE_EXACT, "CONFIG SET maxmemory-policy noeviction");
    ask_line(p, COMPARE_EXACT, "CONFIG SET lfu-decay-time 1");
    if (!tested || chance_of(c, 3)) ask_line(p, COMPARE_EXACT, "PFSELFTEST"); /* half a second */
    tested = true;
}

static void probe_save(struct pair *p, struct chance *c) {
    if (!chance_of(c, 5)) return;
    ask_line(p, COMPARE_EXACT, "SAVE");
    ask_line(p, COMPARE_EXACT, chance_of(c, 50) ? "BGSAVE" : "BGSAVE SCHEDULE");
    await_background(p, "rdb_bgsave_in_progress");
    ask_line(p, COMPARE_EXACT, chance_of(c, 50) ? "BGSAVE FOO" : "BGSAVE SCHEDULE x");
}

/* Outside of transactions: there the reference refuses to queue them, Trivet to run them. */
static void probe_module(struct pair *p, struct chance *c) {
    static const char *const lines[] = { "MODULE LOAD nosuch.so", "MODULE LOADEX nosuch.so",
                                         "MODULE UNLOAD nosuch", NULL };
    ask_line(p, COMPARE_EXACT, chance_pick(c, lines));
}

const struct probe session_probes[] = {
    { "MODULE", probe_module },
    { "sessions", probe_session },
    { "FREQ", probe_freq },
    { "SAVE", probe_save },
    { NULL, NULL },
};
