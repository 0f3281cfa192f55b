/* migration.h: one migration of slots, for the files of migrations.h. */
#ifndef ENGINE_CLUSTER_MIGRATION_H
#define ENGINE_CLUSTER_MIGRATION_H

#include "trivet/base/buf.h"
#include "trivet/base/chain.h"
#include "trivet/base/mailbox.h"
#include "trivet/cluster/message/node_id.h"
#include "trivet/engine/cluster/migrations.h"
#include "trivet/engine/slots/export.h"
#include "trivet/transport/socket.h"
#include <pthread.h>

#define MIGRATION_NAME_LEN 40

enum migration_state {
    /* Of the source. */
    EXPORT_CONNECTING,
    EXPORT_SENDING_AUTH,
    EXPORT_READING_AUTH,
    EXPORT_SENDING_ESTABLISH,
    EXPORT_READING_ESTABLISH,
    EXPORT_WAITING, /* for its link to become a connection */
    EXPORT_SNAPSHOTTING,
    EXPORT_REPLICATING,
    EXPORT_WAITING_TO_PAUSE,
    EXPORT_PAUSED,
    EXPORT_GRANTED,
    /* Of the target. */
    IMPORT_SNAPSHOT,
    IMPORT_WAITING_FOR_PAUSED,
    IMPORT_REQUESTED,
    IMPORT_GRANTED,
    IMPORT_OF_PRIMARY,
    /* Both ends. */
    MIGRATION_SUCCESS,
    MIGRATION_FAILED,
    MIGRATION_CANCELLED,
};

/* A thread that opens the link: it reads only this, posts a letter to worker 0, and touches it no more. */
struct migration_dial {
    struct letter done;
    struct chain_link in_dials; /* the maker's side */
    pthread_t thread;
    bool is_started;
    char *host, *source_address, *user, *password;
    uint16_t port;
    int64_t timeout_ms;
    bool tls;
    struct buf establish; /* the command, on the wire */
    atomic_bool is_cancelled;
    _Atomic enum migration_state stage;
    /* When it is done. */
    struct socket socket; /* fd -1: it failed */
    struct buf received, why;
};

struct migration {
    struct chain_link in_all;
    char name[MIGRATION_NAME_LEN];
    bool is_import;
    struct slot_set slots;
    struct node_id source, target;
    int64_t created_s, updated_s, heard_ms, said_ms; /* said: the last sign of life to the other end */
    enum migration_state state;
    struct buf message;
    /* While it goes on. */
    int worker;
    uint64_t client; /* its link; 0: none */
    struct migration_dial *dial;
    struct slot_export *export;
    int64_t paused_until_ms;
    bool was_flushed; /* keys that had arrived are gone */
};

/* ---- migrations.c ---- */

extern struct chain migrations; /* the latest first */
static inline bool migration_is_over(const struct migration *m) { return m->state >= MIGRATION_SUCCESS; }
struct migration *migration_new(bool is_import, const struct node_id *source, const struct node_id *target,
                                const struct slot_set *slots, struct slice name);
void migration_go_to(struct migration *m, enum migration_state state);
/* Ends it in this state; the gate is closed. Nothing happens if it is over. */
void migration_end(struct migration *m, enum migration_state state, const char *why);
/* The same for worker 0 with only its own gate. */
void migration_fail(struct migration *m, const char *why);
struct migration *migration_of_client(const struct client *c);
bool migration_touches(const struct migration *m, const struct slot_set *slots);
/* The command by which the target, and then its replicas, hear of it. */
void migration_establish(const struct migration *m,
                         void (*emit)(void *arg, const struct slice *argv, size_t argc), void *arg);
/* The other end hears this word; the client is the migration's link, of the calling worker. */
void migration_say(struct client *c, const char *word);
/* Adds to what the client is sent, whatever its replies are. Likewise. */
void migration_send(struct client *c, struct slice wire);

/* ---- the two ends ----
 *
 * _hear: the link says a word. _tick: every tenth of a second on worker 0; `speaks`: a sign of life is due.
 * _owners_changed: slots or roles have changed, and the routes with them; the gate is closed. _release: it is
 * over, m->state tells how; the gate is closed. */

void export_hear(struct migration *m, enum migration_word word);
void export_tick(struct migration *m, bool speaks);
void export_owners_changed(struct migration *m);
void export_release(struct migration *m);
void export_start(void);
/* The client is being closed. */
void export_forget_link(const struct client *c);
void import_hear(struct migration *m, struct client *c, enum migration_word word);
void import_tick(struct migration *m, bool speaks);
void import_owners_changed(struct migration *m);
void import_release(struct migration *m);

/* ---- migration_dial.c ---- */

/* NULL if there is no thread for it. `done.run` is the caller's. */
struct migration_dial *dial_start(const struct migration *m, const char *host, uint16_t port,
                                  void (*done)(struct letter *letter));
/* Waits for the end of its thread. */
void dial_free(struct migration_dial *d);
/* Ends all threads; their letters have been posted. */
void dials_stop(void);

#endif
