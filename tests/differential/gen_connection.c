/* gen_connection.c: commands about the connection whose replies do not depend on the server's own life,
 * and changes of protocol, so that every other command is compared in RESP2 and RESP3. */
#include "differential.h"

static void make_ping(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "PING" : "ECHO");
    if (chance_of(c, 80)) add_value(c, w);
}

static void make_hello(struct chance *c, struct script *s) {
    static const char *const good[] = { "HELLO 3", "HELLO 2", "HELLO", "HELLO 3 SETNAME abc", NULL };
    static const char *const bad[] = { "HELLO 4",     "HELLO 1",        "HELLO a",
                                       "HELLO 3 FOO", "HELLO 3 AUTH x", "HELLO 3 SETNAME \"a b\"",
                                       NULL };
    if (chance_of(c, 80))
        script_command(s, COMPARE_KIND, chance_pick(c, good));
    else
        script_command(s, COMPARE_EXACT, chance_pick(c, bad));
}

static void make_client(struct chance *c, struct script *s) {
    static const char *const lines[] = {
        "CLIENT SETNAME abc",
        "CLIENT SETNAME \"\"",
        "CLIENT SETNAME \"a b\"",
        "CLIENT GETNAME",
        "CLIENT GETREDIR",
        "CLIENT NO-EVICT ON",
        "CLIENT NO-EVICT OFF",
        "CLIENT NO-EVICT x",
        "CLIENT CACHING YES",
        "CLIENT TRACKINGINFO",
        "CLIENT UNBLOCK 999999",
        "CLIENT KILL ID 999999",
        "CLIENT FOO",
        "CLIENT",
        "CLIENT KILL TYPE foo",
        "CLIENT PAUSE a",
        "CLIENT LIST TYPE foo",
        NULL,
    };
    script_command(s, COMPARE_EXACT, chance_pick(c, lines));
}

static void make_other(struct chance *c, struct script *s) {
    static const char *const exact[] = {
        "RESET",
        "RESET",
        "RESET x",
        "AUTH x",
        "AUTH x y",
        "AUTH default x",
        "AUTH",
        "FOO",
        "foo bar \"b\\r\\nc\"",
        "GET|FOO a",
        "\"\"",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS COPY a b",
        "COMMAND GETKEYS NOSUCH a",
        "COMMAND GETKEYSANDFLAGS INCR a",
        "COMMAND FOO",
        "SWAPDB a 0",
        "SWAPDB 0 a",
        NULL,
    };
    static const char *const kind[] = { "TIME", "LASTSAVE", "CLIENT ID", "CLIENT INFO", NULL };
    if (chance_of(c, 80))
        script_command(s, COMPARE_EXACT, chance_pick(c, exact));
    else
        script_command(s, COMPARE_KIND, chance_pick(c, kind));
}

const struct generator connection_generators[] = {
    { "PING ECHO", 3, make_ping },
    { "HELLO", 2, make_hello },
    { "CLIENT", 3, make_client },
    { "RESET AUTH COMMAND TIME, unknown ones", 3, make_other },
    { NULL, 0, NULL },
};
