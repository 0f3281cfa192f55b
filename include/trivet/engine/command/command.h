/* command.h: what the server knows of a command: one row beside its code, the only place for these facts.
 *
 * Groups of commands are tables of rows ending with a row without a name. The registry (registry.h) copies
 * the rows at start-up and fills in the fields below "the registry's"; everything else refers to that copy.
 */
#ifndef TRIVET_ENGINE_COMMAND_COMMAND_H
#define TRIVET_ENGINE_COMMAND_COMMAND_H

#include "trivet/base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct call;

/* What a command touches. It decides which locks the dispatcher takes. */
enum command_kind {
    LOCAL,     /* only its own connection, or state with locks of its own: at once */
    KEYED,     /* the keys named by its key specs: under the locks of their shards, beside other workers */
    EXCLUSIVE, /* anything else: alone, every other worker is parked between two commands */
};

enum command_flag {
    WRITES = 1 << 0, /* write */
    READS = 1 << 1,  /* readonly */
    GROWS = 1 << 2,  /* denyoom: refused when memory is full */
    ADMIN = 1 << 3,
    PUBSUB = 1 << 4,
    NOSCRIPT = 1 << 5,
    BLOCKS = 1 << 6,  /* blocking */
    LOADING = 1 << 7, /* allowed while the dataset is being loaded */
    STALE = 1 << 8,
    SKIP_MONITOR = 1 << 9,
    SKIP_COMMANDLOG = 1 << 10,
    ASKING = 1 << 11,
    FAST = 1 << 12,
    NO_AUTH = 1 << 13, /* allowed before authentication */
    MAY_REPLICATE = 1 << 14,
    NO_ASYNC_LOADING = 1 << 15,
    NO_MULTI = 1 << 16,
    MOVABLE_KEYS = 1 << 17,
    ALLOW_BUSY = 1 << 18,
    SYSCMD = 1 << 19,            /* doc flag: internal command */
    DEPRECATED = 1 << 20,        /* doc flag */
    NO_MANDATORY_KEYS = 1 << 21, /* a key spec may match nothing */
    RUNS_QUEUE = 1 << 22,        /* EXEC: its locks are those of the queued commands */
    RUNS_IN_MULTI =
        1 << 23, /* runs at once between MULTI and EXEC, is not queued (EXEC, DISCARD, RESET, QUIT) */
    RUNS_PAUSED = 1 << 24,     /* runs even while all clients are paused (CLIENT UNPAUSE) */
    RUNS_SUBSCRIBED = 1 << 25, /* allowed to a RESP2 client that has subscriptions */
    KEEPS_CACHING = 1 << 26, /* CLIENT CACHING still holds for the command after this one; subcommands too */
    HEEDS_DISK = 1 << 27,    /* refused like a write while the disk fails (PING: health checks see it) */
    ALL_DATABASES = 1 << 28, /* works on every database (FLUSHALL): a user needs them all */
    SWITCHES_DATABASE = 1 << 29,   /* SELECT: what follows runs in the database that it names */
    NAMES_ITS_DATABASES = 1 << 30, /* works on those it names, not on the client's own (SWAPDB) */
};

/* Which arguments are channels, for the permission to use them. */
enum command_channels {
    CHANNELS_NONE,
    CHANNEL_FIRST,     /* the first one */
    CHANNELS_ALL,      /* all of them */
    CHANNELS_PATTERNS, /* all of them are patterns */
};

#define DATABASE_ARGUMENTS_MAX 2

/* ACL categories that do not follow from the flags; the others (read, write, admin, dangerous, fast, slow,
 * pubsub, blocking) are derived by the registry. */
enum command_category {
    CAT_KEYSPACE = 1 << 0,
    CAT_READ = 1 << 1,
    CAT_WRITE = 1 << 2,
    CAT_SET = 1 << 3,
    CAT_SORTEDSET = 1 << 4,
    CAT_LIST = 1 << 5,
    CAT_HASH = 1 << 6,
    CAT_STRING = 1 << 7,
    CAT_BITMAP = 1 << 8,
    CAT_HYPERLOGLOG = 1 << 9,
    CAT_GEO = 1 << 10,
    CAT_STREAM = 1 << 11,
    CAT_PUBSUB = 1 << 12,
    CAT_ADMIN = 1 << 13,
    CAT_FAST = 1 << 14,
    CAT_SLOW = 1 << 15,
    CAT_BLOCKING = 1 << 16,
    CAT_DANGEROUS = 1 << 17,
    CAT_CONNECTION = 1 << 18,
    CAT_TRANSACTION = 1 << 19,
    CAT_SCRIPTING = 1 << 20,
};
#define CATEGORY_COUNT 21

enum key_flag {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

/* Which arguments are keys: where they begin and how to go on from there, as COMMAND INFO shows it. */
struct key_spec {
    uint16_t flags;
    enum { BEGIN_NONE, BEGIN_INDEX, BEGIN_KEYWORD, BEGIN_UNKNOWN } begin;
    int index; /* BEGIN_INDEX: argument; BEGIN_KEYWORD: where to start looking, negative from the end */
    const char *keyword;
    enum { FIND_RANGE, FIND_KEYNUM, FIND_UNKNOWN } find;
    int last, step,
        limit; /* FIND_RANGE: relative to the first key; last -1 is the last argument, -2 the one before */
    int keynum_index, first_key; /* FIND_KEYNUM: relative to the beginning; step as above */
};
#define KEY_SPECS_MAX 4

/* Shorthands for rows: KEY(flags) is one key at argument 1; KEYS(flags, last, step) a range from there. */
#define KEY_AT(position, f) \
    { .flags = (f), .begin = BEGIN_INDEX, .index = (position), .find = FIND_RANGE, .last = 0, .step = 1 }
#define KEY(f) KEY_AT(1, f)
#define KEYS_FROM(position, f, last_, step_)                                                          \
    {                                                                                                 \
        .flags = (f), .begin = BEGIN_INDEX, .index = (position), .find = FIND_RANGE, .last = (last_), \
        .step = (step_)                                                                               \
    }
#define KEYS(f, last_, step_) KEYS_FROM(1, f, last_, step_)
/* "numkeys key [key ...]", numkeys at argument `position`. */
#define KEYNUM_AT(position, f)                                                                           \
    {                                                                                                    \
        .flags = (f), .begin = BEGIN_INDEX, .index = (position), .find = FIND_KEYNUM, .keynum_index = 0, \
        .first_key = 1, .step = 1                                                                        \
    }

struct key_positions;

struct command {
    const char *name;            /* upper case; of a subcommand only its own word */
    void (*run)(struct call *c); /* NULL for a container of subcommands that needs one */
    int arity;                   /* arguments with the name (and the subcommand); negative: at least */
    enum command_kind kind;
    uint32_t flags;                      /* enum command_flag */
    uint32_t categories;                 /* enum command_category */
    struct key_spec keys[KEY_SPECS_MAX]; /* unused ones are zero */
    /* For keys that specs cannot describe (SORT, MIGRATE), and for the flags of keys whose spec says
     * KEY_VARIABLE_FLAGS (SET): adds positions; false: the arguments make no sense. Else NULL. */
    bool (*find_keys)(const struct slice *argv, size_t argc, struct key_positions *out);
    /* For commands that run a script: must this one have the gate closed from the beginning? The others keep
     * the shards of their keys (engine/run/keeping.h). Else NULL. */
    bool (*runs_alone)(const struct call *c);
    /* The flags that decide when this very command may run, where they depend on its arguments (EVAL: on its
     * script). Else NULL. */
    uint32_t (*flags_of)(const struct command *command, const struct slice *argv, size_t argc);
    enum command_channels channels;
    bool moves_keys; /* MIGRATE: its keys may be of a slot that is being moved, and need not be here */
    /* Which arguments are numbers of databases: writes their positions, returns how many. NULL: none is. */
    size_t (*database_arguments)(const struct slice *argv, size_t argc, size_t at[DATABASE_ARGUMENTS_MAX]);
    /* Is this argument a password, which no log and no MONITOR may show? NULL: none is. */
    bool (*secret)(const struct slice *argv, size_t argc, size_t index);
    const struct command *subcommands; /* NULL, or a table */
    const char *since;
    const char *summary;
    const char *complexity;
    const char
        *syntax;      /* the arguments, as documentation writes them; COMMAND DOCS builds its tree from it */
    const char *tips; /* comma-separated */
    const char *deprecated_since, *replaced_by;

    void *owner; /* who may remove it (registry_remove); NULL: the server itself */

    /* the registry's */
    const char *group;
    const char *full_name; /* lower case, "config|get" for a subcommand; as declared, whatever clients say */
    /* What clients call it, in lower case: full_name, or what rename-command made of it. NULL: clients cannot
     * call it. Of a subcommand its parent's counts. */
    const char *current_name;
    const struct command *parent;
    struct command *children; /* the copies of the subcommands */
    uint32_t child_count;
    uint32_t id;         /* dense, from 0: index of its statistics */
    uint32_t simple_key; /* position of the one key if that is all its specs say, else 0 */
    bool names_keys;     /* its keys must be resolved (command_keys.h) */
};

/* The flags that decide when this command may run. */
static inline uint32_t command_flags(const struct command *command, const struct slice *argv, size_t argc) {
    return command->flags_of ? command->flags_of(command, argv, argc) : command->flags;
}

/* The command that a client names with its first word. */
static inline const struct command *command_top(const struct command *command) {
    return command->parent ? command->parent : command;
}

/* Did rename-command give it another name, or take its name away? */
static inline bool command_is_renamed(const struct command *command) {
    const struct command *top = command_top(command);
    return top->current_name != top->full_name;
}

#define WORD_COUNT(command) ((command)->parent ? 2 : 1)

#endif
