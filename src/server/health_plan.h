/* health_plan.h: what `trivet-server health` was told: whom to ask, as whom, and for what. Main thread. */
#ifndef SERVER_HEALTH_PLAN_H
#define SERVER_HEALTH_PLAN_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* Texts are borrowed from the arguments and the environment; "" is not given. */
struct health_plan {
    const char *host, *port, *unix_path; /* a unix socket wins over the other two */
    int64_t timeout_ms;                  /* for all of it */
    const char *user;
    struct buf password; /* owned */
    bool has_password;
    bool tls, insecure;
    const char *cacert, *cert, *key, *sni;
    bool live;    /* any answer will do */
    bool replica; /* a replica's link to its primary has to be up */
    bool help;    /* nothing is asked but the usage */
};

/* False, and the reason in `error`, if the arguments make no sense or the password cannot be read. */
MUST_CHECK bool health_plan_read(struct health_plan *p, int argc, char **argv, struct buf *error);
void health_plan_release(struct health_plan *p);
void health_plan_tell_usage(void);

#endif
