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
};

struct planned {
    struct words words;
    enum compare compare;
};

struct script {
    struct planned *commands;
    size_t count, room;
};

/* An empty command at the script's end, for the generator to fill. */
struct words *script_next(struct script *s, enum compare compare);
/* The same with its first words. */
struct words *script_command(struct script *s, enum compare compare, const char *line);
/* One command (or few) of any group, for transactions. */
void script_any(struct script *s, struct chance *c);

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
extern const struct probe dump_probes[], blocking_probes[], session_probes[];
extern const struct probe zset_probes[], generic_probes[], pubsub_probes[], set_probes[], hash_probes[];

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
/* Removes what stands under these names, ended by NULL, in a reply of names and values and in all inside it.
 */
void node_drop_fields(struct node *n, const char *const *names);
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

/* ---- coverage.c ---- */

void coverage_begin(struct pair *p);
void coverage_note(const struct words *command, const struct node *reply);
/* Fails if a command that both servers know was never tried, unless the run was short. */
void coverage_end(size_t commands);

/* ---- newer.c ---- */

/* Random commands that only Trivet knows, in a database of their own; and the end of what they did. */
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
