/* differential.c: sends the same random commands to Debian's redis-server and to Trivet and demands equal
 * replies.
 *
 *   differential [commands [seed]]      the default is 200000 commands and a new seed
 *
 * Commands go out in runs: one of two connections, up to 64 commands in one pipeline, all replies read before
 * the next run, so that both servers see one order. Replies inside EXEC are compared by the rules of the
 * commands that were queued. From time to time the probes run and the whole states are compared; now and
 * then, and at the end, Trivet is killed and restarted (restart.c). The reference is $REFERENCE_SERVER, by
 * default redis-server. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_MAX 64
#define PROBE_EVERY 2000
#define STATE_EVERY 20000
#define RESTART_EVERY 250000
#define MULTI_DEPTH_MAX 1000 /* commands queued by one transaction that are remembered */

/* What one connection has queued since its MULTI. */
struct queue {
    struct script commands;
};

static struct queue queues[CONNECTIONS];

/* ---- scripts ---- */

struct words *script_next(struct script *s, enum compare compare) {
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        s->commands = realloc(s->commands, room * sizeof(s->commands[0]));
        if (!s->commands) abort();
        memset(s->commands + s->room, 0, (room - s->room) * sizeof(s->commands[0]));
        s->room = room;
    }
    struct planned *next = &s->commands[s->count++];
    next->compare = compare;
    words_clear(&next->words);
    return &next->words;
}

struct words *script_command(struct script *s, enum compare compare, const char *line) {
    struct words *w = script_next(s, compare);
    if (!words_split(w, line)) abort();
    return w;
}

static void script_release(struct script *s) {
    for (size_t i = 0; i < s->room; i++) words_release(&s->commands[i].words);
    free(s->commands);
}

static unsigned total_weight(void) {
    unsigned total = 0;
    for (const struct generator *const *group = all_generators; *group; group++)
        for (const struct generator *g = *group; g->name; g++) total += g->weight;
    return total;
}

void script_any(struct script *s, struct chance *c) {
    size_t at = chance_below(c, total_weight());
    for (const struct generator *const *group = all_generators; *group; group++) {
        for (const struct generator *g = *group; g->name; g++) {
            if (at < g->weight) {
                g->make(c, s);
                return;
            }
            at -= g->weight;
        }
    }
}

static bool is_named(const struct words *w, const char *name) {
    return w->count > 0 && slice_equal_nocase(text_slice(&w->items[0]), slice_of(name));
}

/* Now and then a wrong number of arguments or a name in another case. A spoilt end would leave a transaction
 * open, a mended HELLO, COMMAND and the like tells of the server, GET removes what a past SET EXAT left
 * behind, and Valkey reads all arguments of BITCOUNT and BITPOS before it looks for the key; XGROUP makes the
 * consumers that 7.0 would make later. */
static void spoil(struct chance *c, struct words *w) {
    static const char *const spared[] = { "MULTI",  "EXEC",  "DISCARD",  "HELLO",   "COMMAND",
                                          "GET",    "INFO",  "SLOWLOG",  "LATENCY", "BITCOUNT",
                                          "BITPOS", "ZRANK", "ZREVRANK", "XGROUP" };
    for (size_t i = 0; i < COUNT_OF(spared); i++)
        if (is_named(w, spared[i])) return;
    switch (chance_below(c, 3)) {
    case 0: words_add_str(w, "extra"); break;
    case 1:
        if (w->count > 1) w->count--;
        break;
    default:
        for (size_t i = 0; i < w->items[0].len; i++)
            if (chance_of(c, 50)) w->items[0].ptr[i] = (char)(w->items[0].ptr[i] ^ ' ');
    }
}

/* ---- one run ---- */

/* EXEC's array: each item by the rule of its queued command. */
static bool exec_matches(struct queue *q, const struct words *command, struct node *reference,
                         struct node *trivet) {
    bool both = reference && trivet && reference->kind == '*' && trivet->kind == '*' && !reference->null;
    if (!both || trivet->null || reference->count != trivet->count || reference->count != q->commands.count)
        return replies_match(command, COMPARE_EXACT, reference, trivet);
    for (size_t i = 0; i < reference->count; i++) {
        const struct planned *queued = &q->commands.commands[i];
        if (!replies_match(&queued->words, queued->compare, reference->items[i], trivet->items[i])) {
            history_note("in EXEC", &queued->words, NULL);
            return false;
        }
    }
    return true;
}

static void follow_transaction(struct queue *q, const struct planned *planned, const struct node *reply) {
    const char *text = text_str(&reply->bytes);
    if (reply->kind == '+' && strcmp(text, "QUEUED") == 0 && q->commands.count < MULTI_DEPTH_MAX)
        words_copy(script_next(&q->commands, planned->compare), &planned->words);
    else if (is_named(&planned->words, "EXEC") || is_named(&planned->words, "DISCARD") ||
             is_named(&planned->words, "RESET"))
        q->commands.count = 0;
}

static void check_reply_pair(struct queue *q, const char *name, const struct planned *planned,
                             struct node *reference, struct node *trivet) {
    bool queued = reference && reference->kind == '+' && strcmp(text_str(&reference->bytes), "QUEUED") == 0;
    bool same =
        is_named(&planned->words, "EXEC")
            ? exec_matches(q, &planned->words, reference, trivet)
            : replies_match(&planned->words, queued ? COMPARE_EXACT : planned->compare, reference, trivet);
    if (!same || !reference) report_difference(&planned->words, reference, trivet, name);
    history_note(name, &planned->words, reference);
    follow_transaction(q, planned, reference);
}

static size_t run_once(struct pair *p, struct chance *c, struct script *s) {
    size_t connection = chance_below(c, CONNECTIONS);
    size_t wanted = 1 + chance_below(c, RUN_MAX);
    s->count = 0;
    while (s->count < wanted) script_any(s, c);
    for (size_t i = 0; i < s->count; i++) {
        if (chance_of(c, 1)) spoil(c, &s->commands[i].words);
        client_queue_words(p->reference.clients[connection], &s->commands[i].words);
        client_queue_words(p->trivet.clients[connection], &s->commands[i].words);
    }
    client_flush(p->reference.clients[connection]);
    client_flush(p->trivet.clients[connection]);
    for (size_t i = 0; i < s->count; i++) {
        struct node *reference = client_read_or_end(p->reference.clients[connection]);
        struct node *trivet = client_read_or_end(p->trivet.clients[connection]);
        check_reply_pair(&queues[connection], connection ? "B" : "A", &s->commands[i], reference, trivet);
        node_free(reference);
        node_free(trivet);
    }
    return s->count;
}

static void run_probes(struct pair *p, struct chance *c) {
    for (const struct probe *const *group = all_probes; *group; group++)
        for (const struct probe *probe = *group; probe->name; probe++) probe->run(p, c);
}

/* ---- the program ---- */

static void side_start(struct side *side, const char *name, const char *program,
                       const struct words *options) {
    const char *args[64] = { 0 };
    for (size_t i = 0; i < options->count && i < COUNT_OF(args) - 1; i++)
        args[i] = text_str(&options->items[i]);
    side->name = name;
    side->server = server_launch(&(struct server_plan){ .program = program, .args = args });
    side_connect(side);
}

/* Both with the same limits. Version 10 of snapshots is what the reference's RESTORE reads. */
static void pair_start(struct pair *p) {
    const char *reference = getenv("REFERENCE_SERVER");
    struct words options = { 0 };
    limits_add_options(&options);
    side_start(&p->reference, "reference", reference && *reference ? reference : "redis-server", &options);
    static const char *const own[] = { "--appendonly", "yes", "--rdb-write-version", "10" };
    for (size_t i = 0; i < COUNT_OF(own); i++) words_add_str(&options, own[i]);
    side_start(&p->trivet, "trivet", NULL, &options);
    words_release(&options);
}

static void side_stop(struct side *side) {
    side_disconnect(side);
    server_free(side->server);
}

/* Transactions that were open end with their connections. */
static void restart(struct pair *p, struct chance *c, size_t done) {
    check_restart(p, c, done);
    for (int i = 0; i < CONNECTIONS; i++) queues[i].commands.count = 0;
}

static void run_all(struct pair *p, struct chance *c, size_t commands) {
    struct script script = { 0 };
    size_t probed = 0, compared = 0, restarted = 0;
    for (size_t done = 0; done < commands;) {
        done += run_once(p, c, &script);
        if (done - probed >= PROBE_EVERY) {
            run_probes(p, c);
            probed = done;
        }
        if (done - compared >= STATE_EVERY) {
            compare_states(p);
            compared = done;
        }
        if (done - restarted >= RESTART_EVERY || done >= commands) {
            restart(p, c, done);
            restarted = done;
        }
    }
    script_release(&script);
}

int main(int argc, char **argv) {
    size_t commands = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10)
                             : (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    printf("differential: %zu commands, seed %llu\n", commands, (unsigned long long)seed);
    fflush(stdout);

    struct pair pair = { 0 };
    struct chance chance = { seed };
    limits_draw(&chance);
    pair_start(&pair);
    coverage_begin(&pair);
    run_all(&pair, &chance, commands);
    check_rewrite(&pair);
    side_stop(&pair.reference);
    side_stop(&pair.trivet);
    for (int i = 0; i < CONNECTIONS; i++) script_release(&queues[i].commands);
    printf("differential: all replies and states agree\n");
    print_known_differences();
    coverage_end(commands);
    return EXIT_SUCCESS;
}
