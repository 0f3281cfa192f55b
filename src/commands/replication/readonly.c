/* readonly.c: READONLY and READWRITE: may the reads of this connection be old, because a replica serves them?
 * And ASKING: the client was sent here by the node that the slot leaves.
 *
 * Only a client that has said that it follows redirections (CLIENT CAPA redirect) is sent from a replica to
 * the primary, so to others these two change nothing. */
#include "trivet/commands/groups.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/settings/options.h"

/* READONLY */
static void cmd_readonly(struct call *c) {
    c->client->flags |= CLIENT_READONLY_SLOT;
    reply_ok(c->out);
}

/* READWRITE */
static void cmd_readwrite(struct call *c) {
    c->client->flags &= ~(uint32_t)CLIENT_READONLY_SLOT;
    reply_ok(c->out);
}

/* ASKING */
static void cmd_asking(struct call *c) {
    if (!options.cluster_enabled) {
        reply_error_text(c->out, LIT("ERR This instance has cluster support disabled"));
        return;
    }
    c->client->flags |= CLIENT_ASKING;
    reply_ok(c->out);
}

/* clang-format off */
const struct command readonly_commands[] = {
    { .name = "ASKING", .run = cmd_asking, .arity = 1, .kind = LOCAL, .flags = FAST,
      .categories = CAT_CONNECTION, .since = "3.0.0", .complexity = "O(1)",
      .summary = "Lets the next command use a slot that is moving to this node." },
    { .name = "READONLY", .run = cmd_readonly, .arity = 1, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .categories = CAT_CONNECTION, .since = "3.0.0", .complexity = "O(1)",
      .summary = "Lets a replica serve this connection's reads." },
    { .name = "READWRITE", .run = cmd_readwrite, .arity = 1, .kind = LOCAL, .flags = LOADING | STALE | FAST,
      .categories = CAT_CONNECTION, .since = "3.0.0", .complexity = "O(1)",
      .summary = "Takes READONLY back." },
    { .name = NULL },
};
/* clang-format on */
