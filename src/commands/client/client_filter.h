/* client_filter.h: the options of CLIENT LIST and CLIENT KILL that say which clients are meant:
 * ADDR 1.2.3.4:5, ID 1 2 3, NOT-NAME x, SKIPME yes, ... A client is meant if all of them fit.
 * Thread: with the gate closed, because the clients of all workers are looked at. */
#ifndef COMMANDS_CLIENT_CLIENT_FILTER_H
#define COMMANDS_CLIENT_CLIENT_FILTER_H

#include "trivet/base/compiler.h"
#include "trivet/engine/client/client.h"

#define CLIENT_FILTER_WORDS 14

struct client_condition {
    bool set;
    struct slice text; /* borrowed from the arguments */
    int64_t number;
    uint64_t *ids; /* owned, sorted */
    size_t id_count;
};

/* A zeroed struct lets everybody pass; client_filter_release when done. */
struct client_filter {
    struct client_condition
        yes[CLIENT_FILTER_WORDS]; /* must fit; by the rows of the table in client_filter.c */
    struct client_condition no[CLIENT_FILTER_WORDS]; /* the NOT- forms: must not fit */
    bool skip_me;
};

/* Reads the arguments from `first` on; false after replying what is wrong. */
MUST_CHECK bool client_filter_read(struct call *c, size_t first, struct client_filter *f);
/* Only the client with this address as its peer. */
void client_filter_set_address(struct client_filter *f, struct slice address);
/* Those who are about to be closed are gone already, as far as the user is concerned. */
bool client_filter_fits(const struct client_filter *f, const struct call *c, const struct client *client);
void client_filter_release(struct client_filter *f);

#endif
