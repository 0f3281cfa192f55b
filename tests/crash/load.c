/* load.c: see load.h. */
#include "load.h"
#include "../harness/fail.h"
#include "racer.h"
#include "reader.h"
#include "rounds.h"
#include "writer.h"
#include <sys/socket.h>

#define WRITERS 6
#define OWN_DATABASE 4 /* from this writer on each has a database for itself */
#define RACERS 5
#define PATIENCE_MS 60000

static const size_t depths[WRITERS] = { 1, 4, 16, DEPTH_MOST, 1, 50 };
static struct writer writers[WRITERS];
static struct racer racers[RACERS];
static struct reader readers[NODES];
static atomic_ulong answers;
static atomic_bool over;
static int64_t shared, demoted_ns, first[RACE_KEYS];
static uint64_t chance;

void load_begin(enum asking asking, uint64_t seed) {
    shared = 0;
    chance = seed;
    for (int i = 0; i < WRITERS; i++) {
        writer_release(&writers[i]);
        writers[i] = (struct writer){ .index = i,
                                      .depth = depths[i],
                                      .own = i >= OWN_DATABASE,
                                      .random = model_random(&chance, UINT64_MAX) | 1,
                                      .young_ms = KEPT_BY_MARKS,
                                      .asking = asking,
                                      .over = &over,
                                      .answers = &answers };
    }
    for (uint32_t i = 0; i < RACERS; i++) {
        racer_release(&racers[i]);
        racers[i] = (struct racer){ .number = i,
                                    .random = model_random(&chance, UINT64_MAX) | 1,
                                    .asking = asking,
                                    .over = &over,
                                    .answers = &answers };
        for (size_t k = 0; k < RACE_KEYS; k++) racers[i].last[k] = NOTHING;
    }
}

/* ---- a period ---- */

void load_read(const struct fleet *f, int node) {
    reader_start(&readers[node], fleet_connect(f, node), model_random(&chance, UINT64_MAX) | 1);
}

void load_stop_reading(int node) { reader_stop(&readers[node]); }

void load_start(const struct fleet *f) {
    struct client *c = fleet_connect(f, f->primary);
    race_observe(c, first);
    client_close(c);
    atomic_store(&over, false);
    atomic_store(&answers, 0);
    demoted_ns = UNANSWERED;
    for (int i = 0; i < WRITERS; i++) writer_start(&writers[i], fleet_connect(f, f->primary));
    for (int i = 0; i < RACERS; i++) racer_start(&racers[i], fleet_connect(f, f->primary));
    for (int i = 0; i < NODES; i++)
        if (i != f->primary) load_read(f, i);
}

unsigned long load_answers(void) { return atomic_load(&answers); }

void load_await(unsigned long more) {
    unsigned long wanted = load_answers() + more;
    for (int64_t began = now_ms(); load_answers() < wanted; nap(200))
        if (now_ms() - began > PATIENCE_MS)
            HARNESS_FAIL("the load does not get on: %lu answers", load_answers());
}

static void join_all(void) {
    for (int i = 0; i < WRITERS; i++) writer_join(&writers[i]);
    for (int i = 0; i < RACERS; i++) racer_join(&racers[i]);
    for (int i = 0; i < NODES; i++) reader_stop(&readers[i]);
}

void load_finish(void) {
    atomic_store(&over, true);
    join_all();
}

void load_note_demotion(void) {
    if (demoted_ns == UNANSWERED) demoted_ns = now_ns();
}

void load_cut(void) {
    atomic_store(&over, true);
    for (int i = 0; i < WRITERS; i++) shutdown(client_fd(writers[i].client), SHUT_RDWR);
    for (int i = 0; i < RACERS; i++) shutdown(client_fd(racers[i].client), SHUT_RDWR);
    join_all();
}

/* ---- what is there ---- */

static void check_shared(struct client *c) {
    int64_t least = shared, most = shared;
    for (int i = 0; i < WRITERS; i++) writer_raises(&writers[i], &least, &most);
    shared = client_ask_int(c, "INCRBY shared 0");
    if (shared < least || shared > most)
        HARNESS_FAIL("the common counter is %lld, not within %lld..%lld", (long long)shared, (long long)least,
                     (long long)most);
}

static void check_races(struct client *c, enum owed owed) {
    struct history all = { 0 };
    struct ends ends[RACE_KEYS];
    struct text why = { 0 };
    int64_t last[RACE_KEYS];
    client_ask(c, "SELECT 0");
    race_observe(c, last);
    for (int i = 0; i < RACERS; i++) racer_tell(&racers[i], owed, demoted_ns, &all);
    for (size_t k = 0; k < RACE_KEYS; k++)
        ends[k] = (struct ends){ .first = first[k], .cut = true, .last = last[k] };
    if (!history_check(&all, ends, RACE_KEYS, &why))
        HARNESS_FAIL("a history is not linearizable: %s", text_str(&why));
    history_release(&all);
}

struct toll load_check(const struct fleet *f, enum owed owed) {
    struct toll toll = { 0 };
    struct client *c = fleet_connect(f, f->primary);
    for (int i = 0; i < WRITERS; i++) toll.owed += writer_keep(&writers[i], owed);
    check_shared(c);
    check_races(c, owed);
    for (int i = 0; i < WRITERS; i++) toll.lost += writer_settle(&writers[i], c);
    client_close(c);
    return toll;
}
