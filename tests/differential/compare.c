/* compare.c: when two replies are the same, and the one table of differences that are wanted. */
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

#define NEAR_S 60                 /* both servers get a command within this time */
#define ABSOLUTE_MIN_S 4000000000 /* times from here to there were set absolutely and must be equal */
#define ABSOLUTE_MAX_S 5000000000

/* Patterns of node.h's texts with "..." for anything; `command` is matched without regard to case. */
struct known_difference {
    const char *command, *reference, *trivet, *reason;
    size_t met;
};

static struct known_difference known[] = {
    { "GETEX ...", "...", "-ERR invalid expire time in 'getex' command",
      "Valkey 9 judges the options before it looks at the key", 0 },
    { "GETEX ...", "...", "-ERR value is not an integer or out of range", "the same", 0 },
    { "SORT...", "-ERR One or more scores can't be converted into double", ":...", "the same, stored", 0 },
    { "SORT...", "-ERR One or more scores can't be converted into double", "*[...]",
      "Redis 7.0 looks at an errno that another command left", 0 },
    { "OBJECT ENCODING ...", "$\"hashtable\"", "$\"listpack\"", "small sets are listpacks since 7.2", 0 },
    { "OBJECT ENCODING ...", "$\"quicklist\"", "$\"listpack\"", "small lists are listpacks since 7.2", 0 },
    { "LPOS ... RANK -9223372036854775808...", "...",
      "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
      "7.2 refuses a rank that has no positive counterpart", 0 },
    { "OBJECT ENCODING hll:...", "$\"raw\"", "$\"embstr\"",
      "PFCOUNT of the reference makes a value raw even where it only reads a count that is kept in it", 0 },
    { "PFDEBUG DECODE ...", "$\"...", "-INVALIDOBJ Corrupted HLL object detected",
      "where the runs of a sparse one do not cover its registers, the reference prints them all the same",
      0 },
    { "CLIENT LIST TYPE foo extra", "-ERR syntax error", "-ERR Unknown client type 'foo'",
      "Valkey 8.1 reads its many filters one by one", 0 },
    { "CLIENT LIST ID ...", "-ERR Invalid client ID", "-ERR syntax error", "the same", 0 },
    { "XREAD...", "-ERR Unbalanced XREAD list of streams: ...",
      "-ERR Unbalanced 'xread... list of streams: ...", "7.2 names the command as it was called", 0 },
    { "XREAD ...+...", "-ERR Invalid stream ID specified as stream command argument", "*...",
      "+ is the last entry since 8.0", 0 },
    { "XREAD ...+...", "-ERR Invalid stream ID specified as stream command argument", "%...", "the same", 0 },
    { "XREAD ...+...", "-ERR Invalid stream ID specified as stream command argument", "_", "the same", 0 },
    { "XREAD ...+...", "-ERR Invalid stream ID specified as stream command argument", "$-1", "the same", 0 },
    { "XREAD ...+...", "-ERR Invalid stream ID specified as stream command argument", "-WRONGTYPE ...",
      "the same", 0 },
    { "XREADGROUP ...+...", "-ERR Invalid stream ID specified as stream command argument",
      "-ERR The + ID is meaningless ...", "the same", 0 },
    { "XREADGROUP ...BLOCK...", "-UNBLOCKED the stream key no longer exists", "-NOGROUP No such key ...",
      "7.2 wakes a reader with the error that its command would get now", 0 },
    { "XREADGROUP ...BLOCK...", "-UNBLOCKED the stream key no longer exists", "-WRONGTYPE ...", "the same",
      0 },
    { "XREADGROUP ...BLOCK...", "-NOGROUP the consumer group this client was blocked on no longer exists",
      "-NOGROUP No such key ...", "the same", 0 },
    { "...", "-ERR Command not allowed inside a transaction", "-ERR Command '...' not allowed inside a ...",
      "9.0 names the command", 0 },
    { "GEO...", "-ERR could not decode requested zset member", "-ERR member ... does not exist",
      "9.0 names the member", 0 },
    { "Z...RANK ...", "-ERR wrong number of arguments for ...", "-ERR syntax error",
      "7.0 has no WITHSCORE, so no fourth argument", 0 },
    { "ACL DRYRUN ... Z...RANK ...", "-ERR wrong number of arguments for ...", "...", "the same", 0 },
    { "ACL DRYRUN ...", "-ERR wrong number of arguments for 'cluster|replicate' command", "...",
      "7.0 has no REPLICATE NO ONE, so no fourth argument", 0 },
    { "ACL DRYRUN ... COMMAND GETKEYS...", "-ERR wrong number of arguments for ...", "...",
      "it takes a command of one word since 7.2", 0 },
    { "ACL DRYRUN copy ...", "$\"This user has no permissions to access the '' key\"", "+OK",
      "a pattern %RW~*, which does not match the empty key, is printed as ~*, which does", 0 },
    { "ACL CAT blocking", "*[...$\"bzpopmin\", $\"xread\", $\"xreadgroup\"]",
      "*[...$\"bzpopmin\", $\"wait\", $\"xread\", $\"xreadgroup\"]", "WAIT is @blocking since 7.2", 0 },
    { "ACL DRYRUN ... WAIT ...", "$\"This user has no permissions to run the 'wait' command\"", "+OK",
      "the same", 0 },
    { "ACL DRYRUN ... WAIT ...", "+OK", "$\"This user has no permissions to run the 'wait' command\"",
      "the same", 0 },
    { "FUNCTION RESTORE ...", "-ERR Library ... already exists", "-ERR Library ... already exists",
      "of a dump's libraries, the reference takes first what comes first in its hash table", 0 },
    { "FUNCTION ...", "-ERR Function ... already exists", "-ERR Function ... already exists",
      "of a library's functions, the reference takes first what comes first in its hash table", 0 },
};

static bool matches_nocase(const char *pattern, const char *text) {
    struct text lower = { 0 }, lower_pattern = { 0 };
    for (; *text; text++) text_append_char(&lower, (char)(*text >= 'A' && *text <= 'Z' ? *text + 32 : *text));
    for (; *pattern; pattern++)
        text_append_char(&lower_pattern,
                         (char)(*pattern >= 'A' && *pattern <= 'Z' ? *pattern + 32 : *pattern));
    bool match = text_matches(text_str(&lower_pattern), text_str(&lower));
    text_release(&lower);
    text_release(&lower_pattern);
    return match;
}

static bool is_known(const struct words *command, const char *reference, const char *trivet) {
    struct text line = { 0 };
    words_describe(command, &line);
    bool found = false;
    for (size_t i = 0; i < COUNT_OF(known) && !found; i++) {
        found = matches_nocase(known[i].command, text_str(&line)) &&
                text_matches(known[i].reference, reference) && text_matches(known[i].trivet, trivet);
        if (found) known[i].met++;
    }
    text_release(&line);
    return found;
}

void print_known_differences(void) {
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].met)
            printf("  known difference, %zu times: %s: %s\n", known[i].met, known[i].command,
                   known[i].reason);
}

static bool near(const struct node *a, const struct node *b, int64_t unit) {
    if (a->kind != ':' || b->kind != ':') return false;
    bool absolute = a->number >= ABSOLUTE_MIN_S * unit && a->number < ABSOLUTE_MAX_S * unit;
    if (a->number < 0 || absolute) return a->number == b->number;
    return llabs((long long)(a->number - b->number)) <= NEAR_S * unit;
}

static bool same_text(const struct words *command, const struct node *a, const struct node *b) {
    struct text left = { 0 }, right = { 0 };
    node_describe(a, &left);
    node_describe(b, &right);
    if (!slice_equal(text_slice(&left), text_slice(&right))) reword(&left);
    bool same = slice_equal(text_slice(&left), text_slice(&right)) ||
                is_known(command, text_str(&left), text_str(&right));
    text_release(&left);
    text_release(&right);
    return same;
}

static bool same_kind(const struct node *a, const struct node *b) {
    return a->kind == b->kind && a->null == b->null;
}

static void keep_known_names(struct node *n) {
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (coverage_knows(&n->items[i]->bytes))
            n->items[kept++] = n->items[i];
        else
            node_free(n->items[i]);
    }
    n->count = kept;
    node_sort(n);
}

bool replies_match(const struct words *command, enum compare compare, struct node *reference,
                   struct node *trivet) {
    static const char *const group_counts[] = { "entries-read", "lag", NULL };
    coverage_note(command, reference);
    if (compare == COMPARE_WRAPPED) return wrapped_match(command, reference, trivet);
    if (!reference || !trivet) return reference == trivet;
    switch (compare) {
    case COMPARE_KIND:
        if (!node_is_error(reference) && same_kind(reference, trivet)) return true;
        break;
    case COMPARE_NEAR_S:
        if (near(reference, trivet, 1)) return true;
        break;
    case COMPARE_NEAR_MS:
        if (near(reference, trivet, 1000)) return true;
        break;
    case COMPARE_SORTED:
        node_sort(reference);
        node_sort(trivet);
        break;
    case COMPARE_GROUPS:
        node_drop_fields(reference, group_counts);
        node_drop_fields(trivet, group_counts);
        break;
    case COMPARE_DEEP:
        node_sort_deep(reference);
        node_sort_deep(trivet);
        break;
    case COMPARE_USERS:
        forget_forms(reference);
        forget_forms(trivet);
        break;
    case COMPARE_DRYRUN:
        return dryruns_match(command, reference, trivet) || same_text(command, reference, trivet);
    case COMPARE_NAMES:
        keep_known_names(reference);
        keep_known_names(trivet);
        break;
    case COMPARE_WRAPPED:
    case COMPARE_EXACT: break;
    }
    return same_text(command, reference, trivet);
}

bool exec_matches(const struct script *queue, const struct words *command, struct node *reference,
                  struct node *trivet) {
    bool both = reference && trivet && reference->kind == '*' && trivet->kind == '*' && !reference->null;
    if (!both || trivet->null || reference->count != trivet->count || reference->count != queue->count)
        return replies_match(command, COMPARE_EXACT, reference, trivet);
    for (size_t i = 0; i < reference->count; i++) {
        const struct planned *queued = &queue->commands[i];
        if (!replies_match(&queued->words, queued->compare, reference->items[i], trivet->items[i])) {
            history_note("in EXEC", &queued->words, NULL);
            return false;
        }
    }
    return true;
}

struct node *ask_side(struct side *side, const struct words *command) {
    client_queue_words(side->inspector, command);
    client_flush(side->inspector);
    return client_read_or_end(side->inspector);
}

struct node *ask_both(struct pair *p, enum compare compare, const struct words *command) {
    struct node *reference = ask_side(&p->reference, command);
    struct node *trivet = ask_side(&p->trivet, command);
    if (!replies_match(command, compare, reference, trivet))
        report_difference(command, reference, trivet, "inspector");
    history_note("inspector", command, reference);
    node_free(trivet);
    return reference;
}

void ask_line(struct pair *p, enum compare compare, const char *line) {
    struct words words = { 0 };
    if (!words_split(&words, line)) abort();
    node_free(ask_both(p, compare, &words));
    words_release(&words);
}

/* How to read a whole value of each type. */
static const struct {
    const char *type, *before_key, *after_key;
    enum compare compare;
} value_readers[] = {
    { "string", "GET", "", COMPARE_EXACT },           { "zset", "ZRANGE", "0 -1 WITHSCORES", COMPARE_EXACT },
    { "list", "LRANGE", "0 -1", COMPARE_EXACT },      { "set", "SMEMBERS", "", COMPARE_SORTED },
    { "hash", "HGETALL", "", COMPARE_SORTED },        { "stream", "XRANGE", "- +", COMPARE_EXACT },
    { "stream", "XINFO GROUPS", "", COMPARE_GROUPS },
};

static struct node *ask_about_key(struct pair *p, enum compare compare, const char *before,
                                  const struct text *key, const char *after) {
    struct words command = { 0 }, tail = { 0 };
    if (!words_split(&command, before) || !words_split(&tail, after)) abort();
    words_add(&command, key->ptr, key->len);
    for (size_t i = 0; i < tail.count; i++) words_add(&command, tail.items[i].ptr, tail.items[i].len);
    struct node *reply = ask_both(p, compare, &command);
    words_release(&command);
    words_release(&tail);
    return reply;
}

void compare_key(struct pair *p, const struct text *key) {
    struct node *type = ask_about_key(p, COMPARE_EXACT, "TYPE", key, "");
    node_free(ask_about_key(p, COMPARE_EXACT, "OBJECT ENCODING", key, ""));
    node_free(ask_about_key(p, COMPARE_NEAR_MS, "PEXPIRETIME", key, ""));
    for (size_t i = 0; i < COUNT_OF(value_readers); i++)
        if (strcmp(text_str(&type->bytes), value_readers[i].type) == 0)
            node_free(ask_about_key(p, value_readers[i].compare, value_readers[i].before_key, key,
                                    value_readers[i].after_key));
    node_free(type);
}

void compare_states(struct pair *p) {
    struct words command = { 0 };
    for (int database = 0; database < DATABASES; database++) {
        words_clear(&command);
        words_add_str(&command, "SELECT");
        words_printf(&command, "%d", database);
        node_free(ask_both(p, COMPARE_EXACT, &command));
        if (!words_split(&command, "KEYS *")) abort();
        struct node *keys = ask_both(p, COMPARE_SORTED, &command);
        for (size_t i = 0; i < keys->count; i++) compare_key(p, &keys->items[i]->bytes);
        node_free(keys);
        if (!words_split(&command, "DBSIZE")) abort();
        node_free(ask_both(p, COMPARE_EXACT, &command));
    }
    if (!words_split(&command, "DEBUG DIGEST")) abort();
    node_free(ask_both(p, COMPARE_EXACT, &command));
    words_release(&command);
    ask_line(p, COMPARE_DEEP, "FUNCTION LIST WITHCODE");
}
