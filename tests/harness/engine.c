/* engine.c: see engine.h. */
#include "engine.h"
#include "trivet/engine/client/pubsub.h"
#include "trivet/engine/client/tracking.h"
#include "trivet/engine/run/change.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/engine/turn/turn.h"
#include "trivet/engine/turn/workers.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/server/setup.h"

void (*engine_configure)(void);

bool engine_start(int workers, const struct client_hooks *hooks) {
    struct slice nothing[] = { LIT_INIT("save"), LIT_INIT("") };
    struct buf error = { 0 };
    options_init();
    bool settled = options_set(nothing, 1, (struct options_caller){ 0 }, &error);
    buf_release(&error);
    if (engine_configure) engine_configure();
    thread_worker_index = 0;
    thread_worker_count = workers;
    if (!settled || !setup_modules()) return false;
    for (int i = 0; i < workers; i++)
        if (!mailbox_init(&worker_mailboxes[i])) return false;
    client_hooks = *hooks;
    obstacle_set(OBSTACLE_LOADING, false);
    return true;
}

void engine_thread_begin(int worker) {
    assert(worker > 0 && worker < thread_worker_count);
    thread_worker_index = worker;
}

void engine_thread_end(void) {
    assert(!gate_is_mine());
    eviction_thread_release();
    change_thread_release();
    pubsub_thread_release();
    tracking_thread_release();
    reply_thread_release();
}

bool engine_stop(void) {
    engine_thread_end();
    bool ended = setup_end();
    for (int i = 0; i < thread_worker_count; i++) mailbox_release(&worker_mailboxes[i]);
    options_release();
    return ended;
}
