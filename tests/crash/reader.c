/* reader.c: see reader.h. */
#include "reader.h"
#include "../harness/fail.h"
#include "history.h"
#include "marks.h"
#include "model.h"
#include "rounds.h"
#include <stdlib.h>

#define PAUSE_US 300

/* Keys 0 to 3 are written by MSET, 4 and 5 by a transaction, 7 and 8 by a script. */
#define COMMAND "MGET w%d:0 w%d:1 w%d:2 w%d:3 w%d:4 w%d:5 w%d:7 w%d:8 shared"
static const size_t equal_to[READ_KEYS] = { 0, 0, 0, 0, 4, 4, 6, 6, 8 };

static void look(struct reader *r, int w, const struct node *reply) {
    int64_t seen[READ_KEYS];
    for (size_t i = 0; i < READ_KEYS; i++) {
        const struct node *item = reply->items[i];
        seen[i] = item->null ? NOTHING : strtoll(text_str(&item->bytes), NULL, 10);
        int64_t floor = r->floors[w][i];
        if (!rises(&r->floors[w][i], seen[i]))
            text_printf(&r->problem, "item %zu of " COMMAND " fell from %lld to %lld; ", i, w, w, w, w, w, w,
                        w, w, (long long)floor, (long long)seen[i]);
        if (seen[i] != seen[equal_to[i]])
            text_printf(&r->problem, "items %zu and %zu of " COMMAND " are %lld and %lld; ", equal_to[i], i,
                        w, w, w, w, w, w, w, w, (long long)seen[equal_to[i]], (long long)seen[i]);
    }
    r->reads++;
}

static bool read_once(struct reader *r) {
    int w = (int)model_random(&r->random, READ_WRITERS);
    client_queue(r->client, COMMAND, w, w, w, w, w, w, w, w);
    struct node *reply = client_flush(r->client) ? client_read_or_end(r->client) : NULL;
    if (!reply) return false;
    if (reply->kind == '*' && reply->count == READ_KEYS)
        look(r, w, reply);
    else if (!is_refusal(reply))
        node_describe(reply, &r->problem);
    node_free(reply);
    return r->problem.len == 0;
}

static void *read_until_the_end(void *arg) {
    struct reader *r = arg;
    while (!atomic_load(&r->over) && read_once(r)) nap(PAUSE_US);
    return arg;
}

void reader_start(struct reader *r, struct client *c, uint64_t seed) {
    *r = (struct reader){ .client = c, .random = seed };
    for (size_t w = 0; w < READ_WRITERS; w++)
        for (size_t i = 0; i < READ_KEYS; i++) r->floors[w][i] = NOTHING;
    if (pthread_create(&r->thread, NULL, read_until_the_end, r) != 0) HARNESS_FAIL("cannot start a thread");
}

void reader_stop(struct reader *r) {
    if (!r->client) return;
    atomic_store(&r->over, true);
    pthread_join(r->thread, NULL);
    client_close(r->client);
    r->client = NULL;
    if (r->problem.len > 0) HARNESS_FAIL("a reader of a replica: %s", text_str(&r->problem));
}
