/* differential.h: what the random differential test is made of.
 *
 * A generator writes one or a few commands; a group is a table of generators, one file a group (gen_string.c,
 * ...), listed in groups.c. A probe does what a pipeline of single commands cannot (a whole SCAN, messages
 * that arrive by themselves) and compares for itself. To add a group: write gen_<group>.c and add its line to
 * groups.c. */
#ifndef TESTS_DIFFERENTIAL_H
#define TESTS_DIFFERENTIAL_H

#include "../harness/server.h"

#define CONNECTIONS 2 /* two, so that WATCH sees another client's writes */
#define DATABASES 4   /* of the sixteen, so that they meet often */

/* ---- chance.c: everything random comes from one seed ---- */

struct chance {
    uint64_t state;
};

uint64_t chance_next(struct chance *c);
size_t chance_below(struct chance *c, size_t bound);
bool chance_of(struct chance *c, unsigned percent);
const char *chance_pick(struct chance *c, const char *const *list); /* ended by NULL */

/* Arguments that several groups use; each adds one word. */
void add_key(struct chance *c, struct words *w);
void add_value(struct chance *c, struct words *w);       /* any size and content up to 20 KB */
void add_small_value(struct chance *c, struct words *w); /* up to 300 bytes */
void add_integer(struct chance *c, struct words *w);     /* any, with limits, and now and then no integer */
void add_index(struct chance *c, struct words *w);       /* an offset into a value */
void add_float(struct chance *c, struct words *w);
void add_database(struct chance *c, struct words *w);
/* Times are far away, past, at the limits, or no numbers: never so near that the clock decides the reply. */
void add_seconds(struct chance *c, struct words *w);
void add_milliseconds(struct chance *c, struct words *w);
void add_unix_seconds(struct chance *c, struct words *w);
void add_unix_milliseconds(struct chance *c, struct words *w);
/* EX, PX, EXAT or PXAT (0..3) with its time. */
#define EXPIRY_FORMS 4
void add_expiry_form(struct chance *c, struct words *w, unsigned which);

/* ---- limits.c ---- */

#define LIMITS 10

extern struct limit {
    const char *name;
    int choices[3], value;
} limits[LIMITS];

void limits_draw(struct chance *c);
/* As chance_below, but also below the value of this limit. */
size_t limit_below(struct chance *c, size_t bound, const char *name);
/* As a server's arguments, two words each. */
void limits_add_options(struct words *w);

/* ---- generators ---- */

enum compare {
    COMPARE_EXACT,
    COMPARE_SORTED,  /* an array without an order of its own */
    COMPARE_KIND,    /* type, nullness and number of items only */
    COMPARE_NEAR_S,  /* a time that depends on the clock, in seconds */
    COMPARE_NEAR_MS, /* in milliseconds */
    COMPARE_GROUPS,  /* a stream's groups: 7.0 counts wrongly what they read once entries were deleted or
                        trimmed */
    COMPARE_DEEP,    /* maps, sets and arrays without an order of their own, at any depth */
    COMPARE_USERS,   /* users with their rights: in the words of each version */
    COMPARE_DRYRUN,  /* what ACL DRYRUN says of the user that it names */
    COMPARE_NAMES,   /* of commands: those that both know */
    COMPARE_WRAPPED, /* commands inside of a script, each by its own rule (wrapped.c) */
};

struct planned {
    struct words words;
    enum compare compare;
};

struct script {
    struct planned *commands;
    size_t count, room;
};

struct generator;

/* An empty command at the script's end, for the generator to fill. */
struct words *script_next(struct script *s, enum compare compare);
/* The same with its first words. */
struct words *script_command(struct script *s, enum compare compare, const char *line);
/* One command (or few) of any group that takes part, also for transactions. */
void script_any(struct script *s, struct chance *c);
/* These groups take part, instead of all. */
void script_take(const struct generator *const *groups);
/* The same of these groups. */
void script_of(const struct generator *const *groups, struct script *s, struct chance *c);
const struct generator *script_generator(const struct generator *const *groups, struct chance *c);
/* Forgets the commands, gives back the memory. */
void script_release(struct script *s);
/* Is this the command's name? */
bool command_is(const struct words *w, const char *name);
/* Makes of a command one that is wrong in some way, unless it is of those that must not be. */
void spoil(struct chance *c, struct words *w);

struct generator {
    const char *name;
    unsigned weight;
    void (*make)(struct chance *c, struct script *s);
};

extern const struct generator set_generators[], hash_generators[], list_generators[];
extern const struct generator stream_generators[];
extern const struct generator hyperloglog_generators[], sort_generators[], geo_generators[];
extern const struct generator connection_generators[], string_generators[], generic_generators[],
    zset_generators[], transaction_generators[], bitmap_generators[], server_generators[];
extern const struct generator wrapped_generators[], lua_generators[], function_generators[];
extern const struct generator acl_generators[];

/* ---- the two sides ---- */

struct side {
    const char *name;
    struct server *server;
    struct client *clients[CONNECTIONS];
    struct client *inspector; /* for probes and the comparison of states */
};

struct pair {
    struct side reference, trivet;
};

struct probe {
    const char *name;
    void (*run)(struct pair *p, struct chance *c);
};

extern const struct probe stream_probes[];
extern const struct probe dump_probes[], blocking_probes[], session_probes[], function_probes[];
extern const struct probe acl_probes[];
extern const struct probe zset_probes[], generic_probes[], pubsub_probes[], set_probes[], hash_probes[];

/* EXEC's array: each item by the rule of its queued command. */
bool exec_matches(const struct script *queued, const struct words *command, struct node *reference,
                  struct node *trivet);

/* A whole iteration with "SSCAN key" or its like on both sides; the same elements must come. */
void probe_collection(struct pair *p, const char *command, const char *options);

/* groups.c: the tables of all groups, each list ended by NULL. */
extern const struct generator *const all_generators[];
extern const struct probe *const all_probes[];

/* ---- compare.c ---- */

/* The same reply, or a known difference? Both may be reordered. NULL for a side that closed the connection.
 */
bool replies_match(const struct words *command, enum compare compare, struct node *reference,
                   struct node *trivet);
/* Sends one command to the side's inspector and returns the reply, which the caller frees. */
struct node *ask_side(struct side *side, const struct words *command);
/* Sends one command to both inspectors and demands matching replies; returns the reference's, which the
 * caller frees. */
struct node *ask_both(struct pair *p, enum compare compare, const struct words *command);
/* The same without its reply, split as by redis-cli. */
void ask_line(struct pair *p, enum compare compare, const char *line);
/* One key of the inspectors' database. */
void compare_key(struct pair *p, const struct text *key);
/* All databases: keys, types, encodings, values, times. */
void compare_states(struct pair *p);
/* Prints how often each known difference was met. */
void print_known_differences(void);

/* ---- acl_rules.c ---- */

#define ACL_USERS 4

void add_user(struct chance *c, struct words *w); /* a name */
void add_password(struct chance *c, struct words *w);
void add_channel(struct chance *c, struct words *w);
/* ACL SETUSER, a few times. */
void make_setuser(struct chance *c, struct script *s, const char *name);

/* ---- acl_compare.c ---- */

/* Makes of what Trivet says of the rights of a user, as Valkey, what 7.0 says. */
void reword_denials(struct node *trivet, const char *user);
/* The command, from this word on, refuses the way in which it is told its keys (EVAL with a number of keys
 * that is none), or is PFMERGE without a source: 7.0 finds other keys in them, or none. */
bool names_keys_wrongly(const struct words *command, size_t from);
/* Of ACL DRYRUN. What is left of a false one is in the words of 7.0. */
bool dryruns_match(const struct words *command, const struct node *reference, struct node *trivet);
/* Takes out of a reply of ACL LIST or GETUSER what each version writes in its own way. */
void forget_forms(struct node *n);
/* The rules of a user's line of ACL LIST behind these words, but none for commands that only one side knows;
 * false if there is no such user. */
bool rules_of_user(const struct node *list, const char *user, struct words *out);

/* ---- gen_acl.c ---- */

/* Any command, for ACL DRYRUN: also those that no other group may run. */
void make_tried(struct chance *c, struct script *s);
/* Puts keys, channels and patterns of these in the place of the words $k, $c and $p. */
void expand_line(struct chance *c, struct words *w);

/* ---- wrapped.c: commands inside of scripts ---- */

/* Appends a command to the arguments of a script that calls it. With `key` its second word is that key of
 * the script; `alone`: its result is the script's, not an item of an array. */
void wrapped_add(struct words *w, const struct planned *inner, size_t key, bool alone);
/* Does one of the script's commands (acl_compare.c)? */
bool wrapped_names_keys_wrongly(const struct words *command);
bool wrapped_match(const struct words *command, struct node *reference, struct node *trivet);
/* What Trivet, as Valkey, says in other words than the reference: makes the one of the other. */
void reword(struct text *reference);

/* ---- gen_wrapped.c ---- */

/* Adds a library whose functions do what the scripts do. */
void add_wrapped_library(struct words *w);

/* ---- coverage.c ---- */

void coverage_begin(struct pair *p);
void coverage_note(const struct words *command, const struct node *reply);
/* One of the commands that both know: "get", "config|set". */
const char *coverage_any_name(struct chance *c);
bool coverage_knows(const struct text *name);
/* "get", "config|set", "select|0": do both know the command of this rule? */
bool coverage_knows_rule(const char *rule);
/* Fails if a command that both servers know was never tried, unless the run was short. */
void coverage_end(size_t commands);

/* ---- newer.c ---- */

/* One random command that only Trivet knows, or that works on what those made. */
void newer_make(struct chance *c, struct words *w);
/* Many of them, in a database of their own; and the end of what they did. */
void newer_run(struct side *side, struct chance *c);
void newer_forget(struct side *side);

/* ---- restart.c ---- */

void side_connect(struct side *side);
void side_disconnect(struct side *side);
/* Kills Trivet and starts it anew; all connections are new then. Demands the same data as before. */
void check_restart(struct pair *p, struct chance *c, size_t done);
/* The same once more, after BGREWRITEAOF: nothing may follow it. */
void check_rewrite(struct pair *p);
/* Until both say 0 in this field of INFO persistence. */
void await_background(struct pair *p, const char *field);

/* ---- history.c: the last commands, printed when the sides differ ---- */

void history_note(const char *connection, const struct words *command, const struct node *reference);
NORETURN void report_difference(const struct words *command, const struct node *reference,
                                const struct node *trivet, const char *where);

#endif
