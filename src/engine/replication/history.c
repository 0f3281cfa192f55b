/* history.c: see history.h. */
#include "trivet/engine/replication/history.h"
#include "trivet/base/log.h"
#include "trivet/engine/replication/primary.h"
#include "trivet/engine/replication/replicas.h"
#include "trivet/engine/settings/options.h"
#include "trivet/persist/backlog.h"

void history_resume(const struct stream_position *position, struct slice stream, struct slice unnoted) {
    bool is_replica = options.replicaof[0] != '\0';
    if (is_replica && unnoted.len > 0) return;
    backlog_resume(position, stream);
    if (!is_replica) replication_ids_shift(LIT(""));
    if (unnoted.len > 0) {
        backlog_forget_database();
        backlog_append(unnoted);
    }
    LOG_NOTICE("The data on disk is the state of history %s at offset %lld, with %zu bytes of the stream "
               "before it: %s can continue from there",
               position->id, (long long)position->offset, stream.len,
               is_replica ? "this replica" : "replicas");
}

void history_forget(void) {
    replication_ids_renew();
    backlog_restart(backlog_offset(), -1);
}

void history_end(const char *why) {
    if (!backlog_is_open()) return;
    LOG_NOTICE("The replication history ends here: %s", why);
    replicas_cut_off_all(why);
    if (primary_is_set()) primary_ask_for_all(why);
    history_forget();
}
