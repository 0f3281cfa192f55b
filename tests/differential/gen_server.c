/* gen_server.c: commands about the server as a whole. What tells of its own life, its memory or its version
 * is compared by its kind. */
#include "differential.h"

/* A run keeps the limits it began with: with others a replay would make other encodings. */
static void make_limit(struct chance *c, struct script *s) {
    const struct limit *limit = &limits[chance_below(c, LIMITS)];
    bool get = chance_of(c, 50);
    struct words *w = script_command(s, COMPARE_EXACT, get ? "CONFIG GET" : "CONFIG SET");
    words_add_str(w, limit->name);
    if (!get) words_printf(w, "%d", limit->value);
    if (chance_of(c, 10)) words_add_str(w, "nosuch");
}

static void make_exact(struct chance *c, struct script *s) {
    static const char *const lines[] = {
        "WAIT 0 0",
        "WAIT a 0",
        "WAIT 0 -1",
        "WAIT 0 a",
        "LATENCY RESET foo",
        "LATENCY HISTORY foo",
        "LATENCY GRAPH foo",
        "LATENCY LATEST",
        "LATENCY FOO",
        "LATENCY",
        "SLOWLOG RESET",
        "SLOWLOG GET 0",
        "SLOWLOG GET -2",
        "SLOWLOG GET a",
        "CONFIG RESETSTAT",
        "CONFIG REWRITE",
        "CONFIG GET nosuch",
        "CONFIG SET nosuch 1",
        "CONFIG SET hash-max-listpack-entries a",
        "CONFIG SET hash-max-listpack-entries 1 hash-max-listpack-entries 2",
        "CONFIG SET hash-max-listpack-entries",
        "COMMAND LIST FILTERBY FOO a",
        "COMMAND INFO nosuch",
        "COMMAND DOCS nosuch",
        "COMMAND COUNT x",
        "INFO nosuch",
        "PUBSUB CHANNELS",
        "PUBSUB NUMSUB a b",
        "PUBSUB NUMPAT",
        "PUBSUB SHARDCHANNELS",
        "PUBSUB SHARDNUMSUB a",
        "CLIENT TRACKING OFF",
        "CLIENT TRACKING x",
        "CLIENT PAUSE 1 FOO",
        "CLIENT PAUSE 1 WRITE",
        "CLIENT UNPAUSE",
        "CLIENT KILL 1.2.3.4:5",
        "CLIENT KILL ID 1 FOO",
        "CLIENT UNBLOCK a",
        "CLIENT UNBLOCK 999999 FOO",
        "CLIENT LIST ID 999999",
        "OBJECT FOO k",
        "MEMORY USAGE none SAMPLES 3",
        "MEMORY USAGE none SAMPLES x",
        "MIGRATE 127.0.0.1 1 nokey 0 100",
        "MIGRATE 127.0.0.1 1 nokey 0 100 COPY REPLACE AUTH x",
        "MIGRATE 127.0.0.1 1 \"\" 0 100 KEYS nokey nokey2",
        "MIGRATE 127.0.0.1 1 nokey 0 100 FOO",
        "MIGRATE 127.0.0.1 1 nokey a 100",
        "MIGRATE 127.0.0.1 1 k0 0 100 KEYS a",
        "XGROUP HELP x",
        "DEBUG FOO",
        "MODULE LIST",
        "MODULE LIST x",
        "MODULE FOO",
        "SCAN a",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT x",
        "SCAN 0 FOO 1",
        "SSCAN none 0",
        "HSCAN none x",
        "ZSCAN none 0 MATCH",
        NULL,
    };
    script_command(s, COMPARE_EXACT, chance_pick(c, lines));
}

static void make_kind(struct chance *c, struct script *s) {
    static const char *const lines[] = {
        "ROLE",
        "LATENCY DOCTOR",
        "LATENCY HISTOGRAM get",
        "LATENCY HELP",
        "SLOWLOG GET",
        "SLOWLOG LEN",
        "SLOWLOG HELP",
        "CONFIG GET *max*",
        "CONFIG HELP",
        "COMMAND COUNT",
        "COMMAND HELP",
        "COMMAND DOCS get",
        "COMMAND INFO get set",
        "COMMAND LIST",
        "MEMORY DOCTOR",
        "MEMORY STATS",
        "MEMORY PURGE",
        "MEMORY MALLOC-STATS",
        "MEMORY HELP",
        "INFO",
        "INFO everything",
        "INFO server",
        "CLIENT LIST",
        "CLIENT HELP",
        "OBJECT HELP",
        "MODULE HELP",
        "PUBSUB HELP",
        "XGROUP HELP",
        "XINFO HELP",
        "LATENCY RESET",
        "CLIENT LIST TYPE normal",
        "COMMAND",
        NULL,
    };
    script_command(s, COMPARE_KIND, chance_pick(c, lines));
}

static void make_list_of_commands(struct chance *c, struct script *s) {
    static const char *const lines[] = {
        "COMMAND LIST FILTERBY PATTERN xgroup*",    "COMMAND LIST FILTERBY PATTERN z*store",
        "COMMAND LIST FILTERBY ACLCAT hyperloglog", "COMMAND LIST FILTERBY ACLCAT geo",
        "COMMAND LIST FILTERBY MODULE none",        NULL
    };
    script_command(s, COMPARE_SORTED, chance_pick(c, lines));
}

const struct generator server_generators[] = {
    { "CONFIG of a limit", 2, make_limit },
    { "exact ones", 4, make_exact },
    { "those compared by kind", 2, make_kind },
    { "COMMAND LIST", 1, make_list_of_commands },
    { NULL, 0, NULL },
};
