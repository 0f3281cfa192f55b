/* selector.h: a selector: one set of permissions of a user: commands, keys, channels, databases.
 *
 * A command may run if one selector of the user permits all of it. The rules for commands are kept as they
 * were given, one after the other. Which commands they allow is worked out from them (selector_compile) into
 * one bit for each command. Everything else is kept as lists.
 *
 * Owner: its user. Thread: changed with the gate closed, or before anybody else sees it; read by all. */
#ifndef ENGINE_ACCESS_SELECTOR_H
#define ENGINE_ACCESS_SELECTOR_H

#include "trivet/base/buf.h"
#include "trivet/engine/command/command.h"

enum key_access { KEY_READ = 1, KEY_WRITE = 2, KEY_READ_WRITE = 3 };

struct key_pattern {
    char *glob;
    size_t prefix;   /* "cache:*": the bytes before the star; 0: it is not that simple */
    unsigned access; /* enum key_access */
};

/* "+get", "-config|set", "+@read", "+select|0": the text without its sign, in lower case. */
struct command_rule {
    bool allows;
    char *text;
};

/* "+select|0": of this command only calls with this first argument. The word is in its rule's text. */
struct first_argument {
    uint32_t command;
    const char *word;
};

struct selector {
    bool all_keys, all_channels, all_databases;
    bool begins_with_all; /* the rules for commands begin with +@all, else with -@all */
    struct command_rule *rules;
    struct key_pattern *keys;
    char **channels;
    uint32_t *databases;
    size_t rule_count, key_count, channel_count, database_count;
    size_t rule_room, key_room, channel_room, database_room;
    /* worked out from the rules */
    bool all_commands; /* those too that are registered later */
    uint64_t *commands;
    size_t words; /* of `commands` */
    struct first_argument *first_arguments;
    size_t first_count, first_room;
};

/* Permits nothing but every database, and every channel if acl-pubsub-default says so. */
struct selector *selector_new(void);
struct selector *selector_copy(const struct selector *s);
void selector_free(struct selector *s);

/* Takes one rule ("~key:*", "+@read"). NULL, or what is wrong with it: then nothing has changed. */
MUST_CHECK const char *selector_set(struct selector *s, struct slice rule);
/* After the last rule. */
void selector_compile(struct selector *s);

bool selector_allows_command(const struct selector *s, const struct command *command,
                             const struct slice *argv, size_t argc);
/* Does it allow the command whatever its arguments are? */
static inline bool selector_has_command(const struct selector *s, const struct command *command) {
    size_t word = command->id / 64;
    if (s->all_commands || (command->flags & NO_AUTH)) return true;
    return word < s->words && (s->commands[word] >> command->id % 64 & 1);
}
/* May it use this key in this way (0: it only asks about it)? */
bool selector_allows_key(const struct selector *s, struct slice key, unsigned access);
/* A pattern of PSUBSCRIBE must be one of the selector's patterns itself. */
bool selector_allows_channel(const struct selector *s, struct slice channel, bool is_pattern);
bool selector_allows_database(const struct selector *s, uint32_t db);
/* Every key, also those that nobody knows yet? */
bool selector_allows_all_keys(const struct selector *s, unsigned access);
bool selector_is_unlimited(const struct selector *s);

/* Rules that make an equal selector, with a blank between two. */
void selector_describe(const struct selector *s, struct buf *out);
/* Parts of it, for ACL GETUSER. */
void selector_describe_keys(const struct selector *s, struct buf *out);
void selector_describe_channels(const struct selector *s, struct buf *out);
void selector_describe_databases(const struct selector *s, struct buf *out);
void selector_describe_commands(const struct selector *s, struct buf *out);

/* What may be wrong with a rule; the texts are Valkey's. */
#define RULE_SYNTAX "Syntax error"
#define RULE_UNKNOWN "Unknown command or category name in ACL"

#endif
