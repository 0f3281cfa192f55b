/* coverage.c: a long run must have tried every command that both servers know, or say here why not.
 *
 * The servers themselves are asked what they know (COMMAND LIST, subcommands included). Tried means that a
 * reply was compared, and at least one of them was no error. */
#include "differential.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define ENOUGH 200000 /* commands, from which on chance leaves none out */

static const struct {
    const char *name, *reason;
} excluded[] = {
    { "config|rewrite", "there is no file; tests/commands/test_config.c has one" },
    { "latency|graph", "no event is slow enough; tests/commands/test_latency.c makes some" },
    { "function|kill", "no function runs for so long that it could be ended" },
    { "script|kill", "nor does a script" },
    { "acl|load", "there is no file; tests of users in files have one" },
    { "acl|save", "the same" },
    { "module|load", "there is no module that both could load" },
    { "module|loadex", "the same" },
    { "module|unload", "the same" },
    { "failover", "there are no replicas; the tests of replication have some" },
    { "psync", "the same" },
    { "replconf", "the same" },
    { "readonly", "7.0 wants a cluster for it; tests/commands/test_replication_access.c has it" },
    { "readwrite", "the same" },
    { "replicaof", "the same" },
    { "slaveof", "the same" },
    { "sync", "the same" },
    { "cluster", "it wants a cluster; tests/integration/test_cluster.c makes some" },
    { "asking", "the same" },
    { "lolwut", "each has a picture of its own" },
    { "shutdown", "it ends the server; tests/integration and tests/crash end it in all ways" },
};

struct counted {
    struct text name;
    uint64_t compared, answered;
};

static struct counted *counted;
static size_t counted_count;

static int by_name(const void *a, const void *b) {
    const struct counted *left = a, *right = b;
    return strcmp(text_str(&left->name), text_str(&right->name));
}

static struct counted *find(const char *name) {
    struct counted wanted = { .name = { .ptr = (char *)(uintptr_t)name, .len = strlen(name) } };
    return bsearch(&wanted, counted, counted_count, sizeof(counted[0]), by_name);
}

static bool lists(const struct node *names, const struct text *name) {
    for (size_t i = 0; i < names->count; i++)
        if (slice_equal(text_slice(&names->items[i]->bytes), text_slice(name))) return true;
    return false;
}

void coverage_begin(struct pair *p) {
    struct node *reference = client_ask_node(p->reference.inspector, "COMMAND LIST");
    struct node *trivet = client_ask_node(p->trivet.inspector, "COMMAND LIST");
    counted = calloc(reference->count, sizeof(counted[0]));
    if (!counted) abort();
    for (size_t i = 0; i < reference->count; i++) {
        const struct text *name = &reference->items[i]->bytes;
        if (lists(trivet, name)) text_append(&counted[counted_count++].name, name->ptr, name->len);
    }
    qsort(counted, counted_count, sizeof(counted[0]), by_name);
    node_free(reference);
    node_free(trivet);
}

const char *coverage_any_name(struct chance *c) {
    return text_str(&counted[chance_below(c, counted_count)].name);
}

bool coverage_knows(const struct text *name) { return find(text_str(name)) != NULL; }

static bool is_container(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < counted_count; i++)
        if (strncmp(text_str(&counted[i].name), name, len) == 0 && text_str(&counted[i].name)[len] == '|')
            return true;
    return false;
}

bool coverage_knows_rule(const char *rule) {
    struct text base = { 0 };
    const char *bar = strchr(rule, '|');
    text_append(&base, rule, bar ? (size_t)(bar - rule) : strlen(rule));
    bool known = find(text_str(&base)) && (!bar || !is_container(text_str(&base)) || find(rule));
    text_release(&base);
    return known;
}

static void count(const char *name, bool answered) {
    struct counted *found = find(name);
    if (!found) return;
    found->compared++;
    found->answered += answered;
}

static void append_lower(struct text *out, const struct text *word) {
    for (size_t i = 0; i < word->len; i++) text_append_char(out, (char)tolower((unsigned char)word->ptr[i]));
}

void coverage_note(const struct words *command, const struct node *reply) {
    struct text name = { 0 };
    bool answered = reply && !node_is_error(reply);
    bool queued = answered && reply->kind == '+' && strcmp(text_str(&reply->bytes), "QUEUED") == 0;
    if (command->count == 0 || queued) return;
    append_lower(&name, &command->items[0]);
    count(text_str(&name), answered);
    if (command->count > 1) {
        text_append_char(&name, '|');
        append_lower(&name, &command->items[1]);
        count(text_str(&name), answered);
    }
    text_release(&name);
}

/* With a container go all its subcommands. */
static bool is_excluded(const char *name) {
    for (size_t i = 0; i < COUNT_OF(excluded); i++) {
        size_t len = strlen(excluded[i].name);
        if (strncmp(excluded[i].name, name, len) == 0 && (name[len] == '\0' || name[len] == '|')) return true;
    }
    return false;
}

/* A row of the table that is no longer true is a fault as well. */
static size_t print_gaps(void) {
    size_t gaps = 0;
    for (size_t i = 0; i < counted_count; i++) {
        const char *name = text_str(&counted[i].name);
        if ((counted[i].answered == 0) == is_excluded(name)) continue;
        printf("  %s was compared %llu times and answered %llu times\n", name,
               (unsigned long long)counted[i].compared, (unsigned long long)counted[i].answered);
        gaps++;
    }
    return gaps;
}

void coverage_end(size_t commands) {
    if (commands >= ENOUGH && print_gaps() > 0) {
        printf("differential: commands that both servers know were not tried\n");
        exit(EXIT_FAILURE);
    }
    printf("  both know %zu commands and subcommands, all tried but these:\n", counted_count);
    for (size_t i = 0; i < COUNT_OF(excluded); i++)
        printf("    %s: %s\n", excluded[i].name, excluded[i].reason);
    for (size_t i = 0; i < counted_count; i++) text_release(&counted[i].name);
    free(counted);
}
