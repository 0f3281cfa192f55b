/* differential.c: sends the same random commands to Debian's redis-server and to Trivet and demands equal
 * replies.
 *
 *   differential [commands [seed [part of a generator's name ...]]]
 *
 * The default is 200000 commands, a new seed, and all generators; with names, only transactions and scripts
 * have commands of all.
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

/* Parts of the names of the generators that may begin; NULL: all may. */
static char **wanted_names;

static bool is_wanted(const struct generator *g) {
    if (!wanted_names) return true;
    for (char **name = wanted_names; *name; name++)
        if (strstr(g->name, *name)) return true;
    return false;
}

static void script_wanted(struct script *s, struct chance *c) {
    const struct generator *g;
    do g = script_generator(all_generators, c);
    while (!is_wanted(g));
    g->make(c, s);
}

/* ---- one run ---- */

static void follow_transaction(struct queue *q, const struct planned *planned, const struct node *reply) {
    const char *text = text_str(&reply->bytes);
    if (reply->kind == '+' && strcmp(text, "QUEUED") == 0 && q->commands.count < MULTI_DEPTH_MAX)
        words_copy(script_next(&q->commands, planned->compare), &planned->words);
    else if (command_is(&planned->words, "EXEC") || command_is(&planned->words, "DISCARD") ||
             command_is(&planned->words, "RESET"))
        q->commands.count = 0;
}

static void check_reply_pair(struct queue *q, const char *name, const struct planned *planned,
                             struct node *reference, struct node *trivet) {
    bool queued = reference && reference->kind == '+' && strcmp(text_str(&reference->bytes), "QUEUED") == 0;
    bool same =
        command_is(&planned->words, "EXEC")
            ? exec_matches(&q->commands, &planned->words, reference, trivet)
            : replies_match(&planned->words, queued ? COMPARE_EXACT : planned->compare, reference, trivet);
    if (!same || !reference) report_difference(&planned->words, reference, trivet, name);
    history_note(name, &planned->words, reference);
    follow_transaction(q, planned, reference);
}

static size_t run_once(struct pair *p, struct chance *c, struct script *s) {
    size_t connection = chance_below(c, CONNECTIONS);
    size_t wanted = 1 + chance_below(c, RUN_MAX);
    s->count = 0;
    while (s->count < wanted) script_wanted(s, c);
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
    if (argc > 3) wanted_names = argv + 3;
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
