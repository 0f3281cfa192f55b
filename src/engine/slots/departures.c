/* departures.c: see departures.h. */
#include "trivet/engine/slots/departures.h"
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/engine/client/blocking.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/command/kept.h"
#include "trivet/engine/slots/redirect.h"
#include "trivet/engine/slots/routes.h"
#include "trivet/engine/turn/locks.h"

/* ---- who waits ---- */

/* Where the command that the client waits in has to go now. */
static struct redirection way_of(const struct client *c) {
    const struct kept *k = blocked_command(c);
    struct call call = { .client = (struct client *)unconst(c),
                         .origin = &origin_connection,
                         .command = k->command,
                         .argv = k->argv,
                         .argc = k->argc,
                         .keys = &k->keys };
    return redirect_of(&call);
}

static void send_away(struct client *c, void *arg) {
    struct buf text = { 0 };
    (void)arg;
    if (!c || !c->blocked || !routes) return;
    struct redirection r = way_of(c);
    if (r.what == REDIRECT_NONE) return;
    redirect_tell(r, c, &text);
    (void)blocking_refuse(c, buf_slice(&text));
    buf_release(&text);
}

/* ---- who listens ---- */

struct lost_channels {
    struct slice *at;
    size_t count, room;
};

static bool is_served(uint16_t slot) {
    uint16_t owner = routes->owner[slot];
    return owner == ROUTE_MYSELF || (owner != ROUTE_NOBODY && owner == routes->primary);
}

static void note_lost(void *arg, enum pubsub_kind kind, struct slice name) {
    struct lost_channels *lost = arg;
    if (kind != PUBSUB_SHARD || is_served(slot_of_key(name))) return;
    GROW(lost->at, lost->count, &lost->room, 8);
    lost->at[lost->count++] = slice_make(slice_to_cstr(name), name.len);
}

static void leave_channels(struct client *c, void *arg) {
    struct lost_channels lost = { 0 };
    (void)arg;
    if (!c || !c->subscriptions || !routes) return;
    pubsub_each_of(c, note_lost, &lost);
    if (lost.count > 0) pubsub_deliver();
    for (size_t i = 0; i < lost.count; i++) {
        pubsub_unsubscribe(c, PUBSUB_SHARD, lost.at[i]);
        mem_free(unconst(lost.at[i].ptr));
    }
    mem_free(lost.at);
    if (lost.count > 0) client_hooks.output(c);
}

/* ---- both ---- */

static void count_lost(void *arg, enum pubsub_kind kind, struct slice name) {
    *(bool *)arg |= kind == PUBSUB_SHARD && !is_served(slot_of_key(name));
}

static void look_at(int worker, struct client *c) {
    bool listens_in_vain = false;
    if ((c->flags & CLIENT_BLOCKED) && way_of(c).what != REDIRECT_NONE)
        client_post(worker, c->id, send_away, NULL);
    if (c->subscriptions) pubsub_each_of(c, count_lost, &listens_in_vain);
    if (listens_in_vain) client_post(worker, c->id, leave_channels, NULL);
}

void departures_tell(void) {
    assert(exclusive_is_mine() && routes);
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, c)
    look_at(worker, c);
}
