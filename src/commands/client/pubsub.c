/* pubsub.c: subscribing, publishing, and looking at who subscribes.
 *
 * All of it is LOCAL: the registry of channels has a lock of its own (engine/pubsub.h). */
#include "trivet/engine/client/pubsub.h"
#include "trivet/base/glob.h"
#include "trivet/commands/arguments/help.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/cluster/member.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/run/parts.h"

static void subscribe_all(struct call *c, enum pubsub_kind kind) {
    parts_take(c);
    for (size_t i = 1; i < c->argc; i++) pubsub_subscribe(c->client, kind, c->argv[i]);
}

static void unsubscribe_all(struct call *c, enum pubsub_kind kind) {
    /* Inside EXEC the reply is half written: what has not been delivered yet is lost to this client. */
    if (!c->origin->is_nested) pubsub_deliver();
    parts_take(c);
    if (c->argc == 1 && !pubsub_unsubscribe_all(c->client, kind, parts_room(c))) parts_go_on(c);
    for (size_t i = 1; i < c->argc; i++) pubsub_unsubscribe(c->client, kind, c->argv[i]);
}

/* SUBSCRIBE channel [channel ...] */
static void cmd_subscribe(struct call *c) { subscribe_all(c, PUBSUB_CHANNEL); }

/* UNSUBSCRIBE [channel [channel ...]] */
static void cmd_unsubscribe(struct call *c) { unsubscribe_all(c, PUBSUB_CHANNEL); }

/* PSUBSCRIBE pattern [pattern ...] */
static void cmd_psubscribe(struct call *c) { subscribe_all(c, PUBSUB_PATTERN); }

/* PUNSUBSCRIBE [pattern [pattern ...]] */
static void cmd_punsubscribe(struct call *c) { unsubscribe_all(c, PUBSUB_PATTERN); }

/* SSUBSCRIBE shardchannel [shardchannel ...] */
static void cmd_ssubscribe(struct call *c) {
    /* The other two are let through in EXEC for the sake of old clients. */
    if (!c->origin->may_wait)
        reply_error_text(c->out, LIT("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    else
        subscribe_all(c, PUBSUB_SHARD);
}

/* SUNSUBSCRIBE [shardchannel [shardchannel ...]] */
static void cmd_sunsubscribe(struct call *c) { unsubscribe_all(c, PUBSUB_SHARD); }

/* PUBLISH channel message */
static void publish(struct call *c, enum pubsub_kind kind) {
    reply_int(c->out, (int64_t)pubsub_publish(kind, c->argv[1], c->argv[2]));
    if (member && !c->origin->is_replay)
        member_publish(kind == PUBSUB_SHARD, c->argv[1], c->argv[2]);
    else if (!c->origin->is_silent)
        change_for_replicas(c->argv, c->argc);
}

static void cmd_publish(struct call *c) { publish(c, PUBSUB_CHANNEL); }

/* SPUBLISH shardchannel message */
static void cmd_spublish(struct call *c) { publish(c, PUBSUB_SHARD); }

/* ---- PUBSUB ---- */

struct listing {
    struct reply *out;
    const struct slice *pattern; /* NULL: all */
    size_t count;
};

static void list_name(void *arg, struct slice name) {
    struct listing *l = arg;
    if (l->pattern && !glob_match(*l->pattern, name)) return;
    reply_bulk(l->out, name);
    l->count++;
}

static void reply_names(struct call *c, enum pubsub_kind kind) {
    if (c->argc > 3) {
        reply_error_printf(c->out, "ERR wrong number of arguments for '%s' command", c->command->full_name);
        return;
    }
    struct listing l = { .out = c->out, .pattern = c->argc == 3 ? &c->argv[2] : NULL };
    struct chunk *at = reply_later(c->out);
    pubsub_each(kind, list_name, &l);
    reply_later_array(c->out, at, l.count);
}

static void reply_subscribers(struct call *c, enum pubsub_kind kind) {
    reply_array(c->out, (c->argc - 2) * 2);
    for (size_t i = 2; i < c->argc; i++) {
        reply_bulk(c->out, c->argv[i]);
        reply_int(c->out, (int64_t)pubsub_subscribers(kind, c->argv[i]));
    }
}

/* PUBSUB CHANNELS [pattern] */
static void cmd_pubsub_channels(struct call *c) { reply_names(c, PUBSUB_CHANNEL); }

/* PUBSUB SHARDCHANNELS [pattern] */
static void cmd_pubsub_shardchannels(struct call *c) { reply_names(c, PUBSUB_SHARD); }

/* PUBSUB NUMSUB [channel [channel ...]] */
static void cmd_pubsub_numsub(struct call *c) { reply_subscribers(c, PUBSUB_CHANNEL); }

/* PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]] */
static void cmd_pubsub_shardnumsub(struct call *c) { reply_subscribers(c, PUBSUB_SHARD); }

/* PUBSUB NUMPAT */
static void cmd_pubsub_numpat(struct call *c) { reply_int(c->out, (int64_t)pubsub_names(PUBSUB_PATTERN)); }

/* PUBSUB HELP */
static void cmd_pubsub_help(struct call *c) {
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Names of the channels with subscribers (of those that match the pattern).",
        "NUMPAT",
        "    How many different patterns are subscribed to.",
        "NUMSUB [<channel> ...]",
        "    Each channel with its number of subscribers, patterns not counted.",
        "SHARDCHANNELS [<pattern>]",
        "    Names of the sharded channels with subscribers.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Each sharded channel with its number of subscribers.",
        NULL,
    };
    reply_help(c, lines);
}

/* clang-format off */
static const struct command pubsub_subcommands[] = {
    { .name = "CHANNELS", .run = cmd_pubsub_channels, .arity = -2, .kind = LOCAL,
      .flags = PUBSUB | LOADING | STALE, .since = "2.8.0",
      .summary = "Returns the names of channels that have subscribers.",
      .complexity = "O(N) where N is the number of channels.", .syntax = "[pattern]" },
    { .name = "HELP", .run = cmd_pubsub_help, .arity = 2, .kind = LOCAL, .flags = LOADING | STALE,
      .since = "6.2.0", .summary = "Explains the subcommands.", .complexity = "O(1)" },
    { .name = "NUMPAT", .run = cmd_pubsub_numpat, .arity = 2, .kind = LOCAL,
      .flags = PUBSUB | LOADING | STALE, .since = "2.8.0",
      .summary = "Returns how many different patterns have subscribers.", .complexity = "O(1)" },
    { .name = "NUMSUB", .run = cmd_pubsub_numsub, .arity = -2, .kind = LOCAL,
      .flags = PUBSUB | LOADING | STALE, .since = "2.8.0",
      .summary = "Returns the number of subscribers of channels.",
      .complexity = "O(N) where N is the number of channels asked for.",
      .syntax = "[channel [channel ...]]" },
    { .name = "SHARDCHANNELS", .run = cmd_pubsub_shardchannels, .arity = -2, .kind = LOCAL,
      .flags = PUBSUB | LOADING | STALE, .since = "7.0.0",
      .summary = "Returns the names of sharded channels that have subscribers.",
      .complexity = "O(N) where N is the number of sharded channels.", .syntax = "[pattern]" },
    { .name = "SHARDNUMSUB", .run = cmd_pubsub_shardnumsub, .arity = -2, .kind = LOCAL,
      .flags = PUBSUB | LOADING | STALE, .since = "7.0.0",
      .summary = "Returns the number of subscribers of sharded channels.",
      .complexity = "O(N) where N is the number of channels asked for.",
      .syntax = "[shardchannel [shardchannel ...]]" },
    { .name = NULL },
};

#define SUBSCRIBING (PUBSUB | NOSCRIPT | LOADING | STALE | RUNS_SUBSCRIBED)
#define PUBLISHING (PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE)

const struct command pubsub_commands[] = {
    { .name = "PSUBSCRIBE", .run = cmd_psubscribe, .arity = -2, .kind = LOCAL, .flags = SUBSCRIBING,
      .channels = CHANNELS_PATTERNS,
      .since = "2.0.0", .summary = "Listens to all channels whose names match a pattern.",
      .complexity = "O(N) where N is the number of patterns.", .syntax = "pattern [pattern ...]" },
    { .name = "PUBLISH", .run = cmd_publish, .arity = 3, .kind = LOCAL, .flags = PUBLISHING,
      .channels = CHANNEL_FIRST,
      .since = "2.0.0", .summary = "Sends a message to a channel.",
      .complexity = "O(N+M) where N is the number of receivers and M the number of patterns of all clients.",
      .syntax = "channel message" },
    { .name = "PUBSUB", .arity = -2, .kind = LOCAL, .subcommands = pubsub_subcommands, .since = "2.8.0",
      .summary = "Looks at channels and subscribers.", .complexity = "Depends on the subcommand." },
    { .name = "PUNSUBSCRIBE", .run = cmd_punsubscribe, .arity = -1, .kind = LOCAL, .flags = SUBSCRIBING,
      .since = "2.0.0", .summary = "Stops listening to patterns, or to all of them.",
      .complexity = "O(N) where N is the number of patterns.", .syntax = "[pattern [pattern ...]]" },
    { .name = "SPUBLISH", .run = cmd_spublish, .arity = 3, .kind = LOCAL, .flags = PUBLISHING,
      .channels = CHANNEL_FIRST,
      .keys = { KEY(KEY_NOT_KEY) }, .since = "7.0.0", .summary = "Sends a message to a sharded channel.",
      .complexity = "O(N) where N is the number of receivers.", .syntax = "shardchannel message" },
    { .name = "SSUBSCRIBE", .run = cmd_ssubscribe, .arity = -2, .kind = LOCAL, .flags = SUBSCRIBING,
      .channels = CHANNELS_ALL,
      .keys = { KEYS(KEY_NOT_KEY, -1, 1) }, .since = "7.0.0", .summary = "Listens to sharded channels.",
      .complexity = "O(N) where N is the number of channels.", .syntax = "shardchannel [shardchannel ...]" },
    { .name = "SUBSCRIBE", .run = cmd_subscribe, .arity = -2, .kind = LOCAL, .flags = SUBSCRIBING,
      .channels = CHANNELS_ALL,
      .since = "2.0.0", .summary = "Listens to channels.",
      .complexity = "O(N) where N is the number of channels.",
      .syntax = "channel [channel ...]" },
    { .name = "SUNSUBSCRIBE", .run = cmd_sunsubscribe, .arity = -1, .kind = LOCAL, .flags = SUBSCRIBING,
      .keys = { KEYS(KEY_NOT_KEY, -1, 1) }, .since = "7.0.0",
      .summary = "Stops listening to sharded channels, or to all of them.",
      .complexity = "O(N) where N is the number of channels.",
      .syntax = "[shardchannel [shardchannel ...]]" },
    { .name = "UNSUBSCRIBE", .run = cmd_unsubscribe, .arity = -1, .kind = LOCAL, .flags = SUBSCRIBING,
      .since = "2.0.0", .summary = "Stops listening to channels, or to all of them.",
      .complexity = "O(N) where N is the number of channels.", .syntax = "[channel [channel ...]]" },
    { .name = NULL },
};
/* clang-format on */
