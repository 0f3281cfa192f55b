/* gen_acl.c: ACL, asked by the default user: rules, and what they make of all kinds of commands.
 *
 * A script that makes a user also removes it: Trivet's restart in a run (restart.c) forgets users. */
#include "differential.h"
#include <stdlib.h>

static bool inside;

/* "$k" is a key, "$c" a channel, "$p" a pattern of channels. */
static const char *const lines[] = {
    "GET $k",
    "GET k1",
    "get K2",
    "SET k1 v",
    "MGET k1 $k",
    "SET $k v",
    "SET $k v GET",
    "SET $k v EX 100",
    "GETSET $k v",
    "GETEX $k",
    "GETDEL $k",
    "COPY $k $k",
    "RENAME $k $k",
    "MSET $k v $k v",
    "MGET $k $k $k",
    "EXISTS $k $k",
    "TYPE $k",
    "DEL $k",
    "TOUCH $k",
    "SORT $k",
    "SORT $k BY #",
    "SORT $k BY nosort",
    "SORT $k BY w_* GET #",
    "SORT $k GET #",
    "SORT $k GET w_*->f LIMIT 0 1 STORE $k",
    "SORT $k STORE $k",
    "SORT $k STORE $k STORE $k",
    "SORT_RO $k BY w_*",
    "SORT_RO $k GET w_*",
    "EVAL \"return 1\" 2 $k $k",
    "EVAL \"return 1\" 0",
    "EVAL \"return 1\" -1",
    "EVAL \"return 1\" a $k",
    "EVAL \"return 1\" 9 $k",
    "EVAL_RO \"return 1\" 1 $k",
    "EVALSHA abc 1 $k",
    "FCALL f 1 $k",
    "FCALL_RO f 1 $k",
    "XREAD COUNT 1 STREAMS $k $k 0 0",
    "XREAD STREAMS $k 0 0",
    "XREAD",
    "XREAD COUNT 2 $k",
    "XREADGROUP GROUP STREAMS streams STREAMS $k >",
    "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS $k $k > >",
    "XADD $k * a b",
    "XGROUP CREATE $k g 0 MKSTREAM",
    "XINFO STREAM $k",
    "XINFO GROUPS $k",
    "ZUNIONSTORE $k 2 $k $k",
    "ZUNIONSTORE $k 0 $k",
    "ZUNIONSTORE $k a $k",
    "ZUNION 2 $k $k WITHSCORES",
    "ZDIFF 1 $k",
    "ZINTERCARD 2 $k $k LIMIT 1",
    "SINTERCARD 1 $k",
    "ZRANGESTORE $k $k 0 1",
    "ZMPOP 2 $k $k MIN",
    "LMPOP 1 $k LEFT",
    "LMOVE $k $k LEFT LEFT",
    "BLMOVE $k $k LEFT LEFT 0.001",
    "BLPOP $k $k 0.001",
    "BZPOPMIN $k 0.001",
    "BLMPOP 0.001 1 $k LEFT",
    "BZMPOP 0.001 2 $k $k MAX",
    "BITOP AND $k $k $k",
    "BITFIELD $k GET u4 0",
    "BITFIELD $k SET u4 0 1",
    "BITFIELD $k GET u4 0 INCRBY u2 1 1",
    "BITFIELD_RO $k GET u4 0",
    "BITCOUNT $k",
    "PFADD $k a",
    "PFCOUNT $k $k",
    "PFMERGE $k $k",
    "PFDEBUG ENCODING $k",
    "GEORADIUS $k 1 1 1 km",
    "GEORADIUS $k 1 1 1 km STORE $k",
    "GEORADIUS $k 1 1 1 km STORE $k STOREDIST $k",
    "GEORADIUSBYMEMBER $k m 1 km STOREDIST $k",
    "GEOSEARCHSTORE $k $k FROMMEMBER a BYRADIUS 1 km",
    "MIGRATE 127.0.0.1 1 $k 0 100",
    "MIGRATE 127.0.0.1 1 \"\" 0 100 KEYS $k $k",
    "MIGRATE 127.0.0.1 1 $k 0 100 KEYS $k",
    "MIGRATE 127.0.0.1 1 \"\" 0 100 AUTH KEYS KEYS $k",
    "OBJECT ENCODING $k",
    "OBJECT FREQ $k",
    "OBJECT IDLETIME $k",
    "OBJECT REFCOUNT $k",
    "MEMORY USAGE $k",
    "MEMORY DOCTOR",
    "DEBUG OBJECT $k",
    "DUMP $k",
    "RESTORE $k 0 x",
    "KEYS *",
    "SCAN 0",
    "RANDOMKEY",
    "WATCH $k $k",
    "PUBLISH $c x",
    "SPUBLISH $c x",
    "SUBSCRIBE $c $c",
    "SSUBSCRIBE $c $c",
    "PSUBSCRIBE $p $p",
    "PSUBSCRIBE $c",
    "UNSUBSCRIBE $c",
    "PUNSUBSCRIBE $p",
    "SUNSUBSCRIBE $c",
    "PUBSUB CHANNELS $c",
    "PUBSUB NUMSUB $c",
    "CLIENT ID",
    "CLIENT GETNAME",
    "CLIENT SETNAME n",
    "CLIENT KILL ID 9999999",
    "CLIENT NO-EVICT OFF",
    "CONFIG GET maxmemory",
    "CONFIG SET maxmemory 0",
    "CONFIG RESETSTAT",
    "COMMAND GETKEYS GET $k",
    "COMMAND COUNT",
    "SELECT 0",
    "SELECT 1",
    "SWAPDB 0 0",
    "MOVE $k 1",
    "COPY $k $k DB 1",
    "AUTH x",
    "HELLO 3",
    "HELLO 3 AUTH a b",
    "QUIT",
    "RESET",
    "ACL WHOAMI",
    "ACL LOG",
    "ACL CAT",
    "ACL GETUSER x",
    "MULTI",
    "EXEC",
    "DISCARD",
    "PING",
    "ECHO x",
    "LOLWUT",
    "WAIT 0 0",
    "SLOWLOG GET",
    "FUNCTION LIST",
    "SCRIPT EXISTS x",
    "SCRIPT LOAD x",
    "LATENCY RESET x",
    "FOO $k",
    "CONFIG FOO",
    NULL,
};

void expand_line(struct chance *c, struct words *w) {
    static const char *const patterns[] = { "c*", "c[12]", "c?", "*", "c1", "d", "", NULL };
    struct words plain = { 0 };
    words_copy(&plain, w);
    words_clear(w);
    for (size_t i = 0; i < plain.count; i++) {
        const char *word = text_str(&plain.items[i]);
        if (strcmp(word, "$k") == 0)
            add_key(c, w);
        else if (strcmp(word, "$c") == 0)
            add_channel(c, w);
        else if (strcmp(word, "$p") == 0)
            words_add_str(w, chance_pick(c, patterns));
        else
            words_add_str(w, word);
    }
    words_release(&plain);
}

/* Any command's name, and keys for arguments: often too few or too many. */
static void make_named(struct chance *c, struct words *w) {
    const char *name = coverage_any_name(c), *bar = strchr(name, '|');
    if (bar) words_add(w, name, (size_t)(bar - name));
    words_add_str(w, bar ? bar + 1 : name);
    for (size_t i = chance_below(c, 7); i > 0; i--) {
        if (chance_of(c, 20))
            words_printf(w, "%zu", chance_below(c, 3));
        else
            add_key(c, w);
    }
}

void make_tried(struct chance *c, struct script *s) {
    size_t roll = chance_below(c, 100);
    if (roll < 50) {
        expand_line(c, script_command(s, COMPARE_EXACT, chance_pick(c, lines)));
    } else if (roll < 70 || inside) {
        make_named(c, script_next(s, COMPARE_EXACT));
    } else {
        inside = true;
        script_any(s, c);
        inside = false;
    }
}

static void make_dryrun(struct chance *c, struct script *s, const char *name) {
    struct script tried = { 0 };
    make_tried(c, &tried);
    for (size_t i = 0; i < tried.count && i < 8; i++) {
        struct words *w = script_command(s, COMPARE_DRYRUN, "ACL DRYRUN");
        const struct words *from = &tried.commands[i].words;
        words_add_str(w, name);
        for (size_t at = 0; at < from->count; at++) words_add(w, from->items[at].ptr, from->items[at].len);
    }
    script_release(&tried);
}

static void make_user(struct chance *c, struct script *s) {
    static const char *const names[] = { "d0", "d1", "a:b", "\xc3\xbc", NULL };
    if (inside) return;
    const char *name = chance_pick(c, names);
    make_setuser(c, s, name);
    for (size_t i = 5 + chance_below(c, 10); i > 0; i--) make_dryrun(c, s, name);
    words_add_str(script_command(s, COMPARE_USERS, "ACL GETUSER"), name);
    script_command(s, COMPARE_USERS, "ACL LIST");
    script_command(s, COMPARE_EXACT, "ACL USERS");
    words_add_str(script_command(s, COMPARE_EXACT, "ACL DELUSER"), name);
}

static void make_cat(struct chance *c, struct script *s) {
    static const char *const names[] = { "keyspace",  "read",     "write",     "set",        "sortedset",
                                         "list",      "hash",     "string",    "bitmap",     "hyperloglog",
                                         "geo",       "stream",   "pubsub",    "admin",      "fast",
                                         "slow",      "blocking", "dangerous", "connection", "transaction",
                                         "scripting", NULL };
    words_add_str(script_command(s, COMPARE_NAMES, "ACL CAT"), chance_pick(c, names));
}

static void make_other(struct chance *c, struct script *s) {
    static const char *const exact[] = {
        "ACL CAT",
        "ACL CAT foo",
        "ACL CAT all",
        "ACL CAT a b",
        "ACL WHOAMI",
        "ACL WHOAMI x",
        "ACL USERS",
        "ACL GENPASS 0",
        "ACL GENPASS 4097",
        "ACL GENPASS a",
        "ACL GENPASS 5 5",
        "ACL LOG 0",
        "ACL LOG -1",
        "ACL LOG a",
        "ACL LOG RESET x",
        "ACL GETUSER nosuch",
        "ACL GETUSER",
        "ACL DELUSER nosuch",
        "ACL DELUSER nosuch default",
        "ACL DELUSER",
        "ACL DRYRUN nosuch get a",
        "ACL DRYRUN default nosuch a",
        "ACL DRYRUN default config nosuch",
        "ACL DRYRUN default config",
        "ACL DRYRUN default get",
        "ACL DRYRUN default",
        "ACL SETUSER \"a b\" on",
        "ACL SETUSER",
        "ACL SETUSER default foo",
        "ACL SETUSER default on",
        "ACL LOAD",
        "ACL SAVE",
        "ACL FOO",
        "ACL",
        NULL,
    };
    static const char *const kind[] = { "ACL GENPASS", "ACL GENPASS 5", "ACL HELP", "ACL LOG RESET", NULL };
    if (chance_of(c, 80))
        script_command(s, COMPARE_EXACT, chance_pick(c, exact));
    else if (chance_of(c, 50))
        script_command(s, COMPARE_USERS, chance_of(c, 50) ? "ACL GETUSER default" : "ACL LIST");
    else
        script_command(s, COMPARE_KIND, chance_pick(c, kind));
}

const struct generator acl_generators[] = {
    { "ACL SETUSER DRYRUN", 6, make_user },
    { "ACL CAT", 2, make_cat },
    { "ACL, others", 3, make_other },
    { NULL, 0, NULL },
};
