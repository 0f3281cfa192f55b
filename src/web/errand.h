/* errand.h: the way from the web thread to worker 0 and back: what needs a worker's gate, users, settings,
 * statistics, is asked there in one letter for all that wait.
 *
 * One letter is under way at a time. Thread: the web thread, unless said. */
#ifndef WEB_ERRAND_H
#define WEB_ERRAND_H

#include "access.h"
#include "trivet/base/blob.h"
#include "trivet/base/compiler.h"

enum question_kind { ASKS_PAGE, ASKS_METRICS, ASKS_LIVE, ASKS_READY };

struct question {
    uint64_t conn; /* who asks, see http_conn_waiting() */
    enum question_kind kind;
    struct credentials credentials;
    char peer[64];
    bool is_local;
    bool with_primary; /* ASKS_READY: the link to the primary counts */
    /* The answer. */
    enum admission admission;
    bool is_ready;
    struct buf why; /* it is not */
};

struct event_base;

/* Called for each question that comes back; `metrics` is their text, or NULL if nobody asked. */
typedef void errand_done(const struct question *q, struct blob *metrics);

/* Before the web thread runs; false with errno. Main thread, or any with the gate closed. */
MUST_CHECK bool errands_init(struct event_base *base, errand_done *done);
/* Takes the question over, and sends it as soon as it may go. */
void errand_ask(const struct question *taken);
/* A letter back to the web thread. Any thread. */
struct letter;
void errands_post(struct letter *letter);
/* The web thread has ended: no letter does anything any more. Main thread. */
void errands_stop(void);
/* Frees what is left; no worker runs. */
void errands_release(void);

#endif
