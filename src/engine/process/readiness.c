/* readiness.c: see readiness.h. */
#include "trivet/engine/process/readiness.h"
#include "trivet/engine/process/server_hooks.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/run/run.h"
#include "trivet/engine/turn/turn.h"

/* The text of a refusal for clients, without its code. */
static struct slice without_code(struct slice text) {
    const char *blank = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
    return blank ? slice_between(blank + 1, text.ptr + text.len) : text;
}

static bool disk_refuses(struct buf *why) {
    struct buf text = { 0 };
    bool refuses = command_disk_refuses(&text);
    if (refuses) {
        buf_append(why, LIT(UNREADY_DISK));
        buf_append(why, without_code(buf_slice(&text)));
    }
    buf_release(&text);
    return refuses;
}

bool readiness_ask(bool with_link, int64_t now_ms, struct buf *why) {
    unsigned now = obstacles_now();
    const char *reason = NULL;
    if (now & OBSTACLE_LOADING)
        reason = UNREADY_LOADING;
    else if (server_hooks.shutdown_left_ms(now_ms) >= 0)
        reason = UNREADY_ENDING;
    else if (now & OBSTACLE_BUSY)
        reason = UNREADY_BUSY;
    else if (now & OBSTACLE_STALE)
        reason = UNREADY_STALE;
    else if (with_link && primary_is_set() && primary_link() != LINK_CONNECTED)
        reason = UNREADY_LINK;
    else
        return !disk_refuses(why);
    buf_append(why, slice_of(reason));
    return false;
}
