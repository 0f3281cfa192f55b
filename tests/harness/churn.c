/* churn.c: see churn.h. */
#include "churn.h"
#include "check.h"
#include "fail.h"
#include <stdio.h>
#include <time.h>

#define BATCH 16
#define CHUNK 200  /* elements a command of the filling */
#define RARE_OF 40 /* one command of so many is of the rare ones */
#define PLAIN_ELEMENT 20000
#define ENTRIES 3000 /* of a stream: enough nodes to be saved in parts, even trimmed */

/* A key may have another type by now. */
static void drop_replies(struct client *c, size_t count) {
    client_flush(c);
    for (; count > 0; count--) node_free(client_read(c));
}

/* ---- filling ---- */

static void add_bytes(struct words *w, size_t len, char with) {
    struct text bytes = { 0 };
    memset(text_reserve(&bytes, len), with, len);
    words_add(w, bytes.ptr, len);
    text_release(&bytes);
}

/* "<command> <key>" and elements `from` ... in the form of the command's type. */
static void queue_elements(struct client *c, const char *command, const char *key, unsigned from,
                           unsigned count) {
    struct words w = { 0 };
    words_add_str(&w, command);
    words_add_str(&w, key);
    for (unsigned i = from; i < from + count; i++) {
        if (command[0] == 'Z') words_printf(&w, "%u", i * 7919 % 1000);
        words_printf(&w, "e%u", i);
        if (command[0] == 'H') words_printf(&w, "value of %u", i);
    }
    client_queue_words(c, &w);
    words_release(&w);
}

static const struct {
    const char *command, *prefix;
} collections[] = { { "HSET", "h" }, { "SADD", "s" }, { "ZADD", "z" }, { "RPUSH", "l" } };

static void fill_collections(struct client *c, const char *kind, unsigned keys, unsigned elements) {
    for (size_t type = 0; type < COUNT_OF(collections); type++)
        for (unsigned k = 0; k < keys; k++) {
            char key[32];
            snprintf(key, sizeof key, "%s%s%u", kind, collections[type].prefix, k);
            unsigned done = 0;
            for (; done < elements; done += CHUNK) {
                unsigned some = elements - done < CHUNK ? elements - done : CHUNK;
                queue_elements(c, collections[type].command, key, done, some);
            }
            drop_replies(c, (elements + CHUNK - 1) / CHUNK);
        }
}

static void fill_strings(struct client *c) {
    client_ask(c, "DEBUG POPULATE %d str 40", CHURN_KEYS);
    for (unsigned k = 0; k < CHURN_BIG; k++) {
        struct words w = { 0 };
        words_add_str(&w, "SET");
        words_printf(&w, "blob%u", k);
        add_bytes(&w, CHURN_BLOB, (char)('a' + k));
        client_queue_words(c, &w);
        words_release(&w);
        client_queue(c, "SET middle%u %020000u", k, k);
        client_queue(c, "SETBIT bits%u 3000000 1", k);
        client_queue(c, "PFADD hll%u a b c d e", k);
        client_queue(c, "SET n%u %u", k, k);
    }
    drop_replies(c, 5 * (size_t)CHURN_BIG);
}

static void fill_plain_list(struct client *c, unsigned k) {
    for (unsigned i = 0; i < 40; i++) {
        struct words w = { 0 };
        words_add_str(&w, "RPUSH");
        words_printf(&w, "pl%u", k);
        add_bytes(&w, i % 3 ? PLAIN_ELEMENT : 10, (char)('a' + i % 26));
        client_queue_words(c, &w);
        words_release(&w);
    }
    drop_replies(c, 40);
}

static void fill_stream(struct client *c, unsigned k) {
    client_ask(c, "XGROUP CREATE x%u g 0 MKSTREAM", k); /* an error if it is there */
    for (unsigned i = 0; i < ENTRIES; i++) client_queue(c, "XADD x%u * field %u other v", k, i);
    drop_replies(c, ENTRIES);
    client_ask(c, "XREADGROUP GROUP g someone COUNT 300 STREAMS x%u >", k);
}

void churn_fill(struct client *c) {
    fill_strings(c);
    fill_collections(c, "", CHURN_BIG, CHURN_ELEMENTS);
    fill_collections(c, "small-", CHURN_SMALL, 5);
    fill_collections(c, "middle-", CHURN_BIG, 200); /* past the compact forms, below what is saved in parts */
    for (unsigned k = 0; k < CHURN_BIG; k++) {
        fill_plain_list(c, k);
        fill_stream(c, k);
        client_ask(c, "SADD ints%u 1 2 3 -70000 5000000000", k);
    }
}

/* ---- changing ---- */

/* The numbers: a big value, an element, a small key. */
static const char *const usual[] = {
    "SET str:%3$u v%2$u",
    "SET str:%3$u %2$u",
    "APPEND str:%3$u xyz",
    "DEL str:%3$u",
    "INCR n%1$u",
    "SETRANGE str:%3$u 3 abc",
    "SETRANGE blob%1$u %3$u hello",
    "APPEND blob%1$u tail",
    "SETRANGE middle%1$u %2$u there",
    "SETBIT bits%1$u %3$u 1",
    "PFADD hll%1$u x%2$u",
    "GETDEL str:%3$u",
    "GETEX str:%3$u EX 100000",
    "PERSIST str:%3$u",
    "EXPIRE small-h%4$u 100000",
    "HSET h%1$u e%2$u new%3$u",
    "HDEL h%1$u e%2$u",
    "HINCRBY h%1$u i%2$u 3",
    "HSET small-h%4$u e%2$u v",
    "HDEL small-h%4$u e%2$u",
    "HSET middle-h%1$u e%2$u v",
    "HPEXPIRE h%1$u 100000000 FIELDS 1 e%2$u",
    "HPERSIST h%1$u FIELDS 1 e%2$u",
    "SADD s%1$u e%2$u m%3$u",
    "SREM s%1$u e%2$u",
    "SPOP s%1$u 2",
    "SADD small-s%4$u m%2$u",
    "SADD ints%1$u %2$u",
    "SMOVE s%1$u small-s%4$u e%2$u",
    "ZADD z%1$u %3$u e%2$u",
    "ZINCRBY z%1$u 1.5 e%2$u",
    "ZREM z%1$u e%2$u",
    "ZPOPMIN z%1$u",
    "ZREMRANGEBYRANK z%1$u 5 6",
    "ZADD small-z%4$u %3$u m%2$u",
    "RPUSH l%1$u e%2$u e%3$u",
    "LPUSH l%1$u x%2$u",
    "LPOP l%1$u 2",
    "RPOP l%1$u",
    "LSET l%1$u %2$u set%3$u",
    "LMOVE l%1$u small-l%4$u LEFT RIGHT",
    "LPUSH small-l%4$u %3$u",
    "RPUSH pl%1$u %3$020000u",
    "LPOP pl%1$u",
    "LSET pl%1$u 3 x",
    "XADD x%1$u * f %2$u",
    "XREADGROUP GROUP g someone COUNT 2 STREAMS x%1$u >",
    "XTRIM x%1$u MAXLEN ~ 2000",
    "MOVE str:%3$u 1",
    "GET str:%3$u",
    "HGETALL small-h%4$u",
    "LRANGE l%1$u 100 120",
    "GETRANGE blob%1$u 5 9",
    "MSET str:%3$u a str:%2$u b small-x%4$u c",
    "SETEX str:%3$u 100000 v",
};
static const char *const rare[] = {
    "RENAME h%1$u h%5$u",
    "RENAME z%1$u other-z%5$u",
    "RENAME other-z%1$u z%5$u",
    "RENAME l%1$u l%5$u",
    "RENAME s%1$u s%5$u",
    "RENAME blob%1$u blob%5$u",
    "COPY l%1$u l%5$u REPLACE",
    "COPY h%1$u other-h%5$u REPLACE",
    "COPY x%1$u x%5$u REPLACE",
    "MOVE h%1$u 1",
    "MOVE l%1$u 1",
    "DEL z%1$u",
    "UNLINK other-h%1$u",
    "SUNIONSTORE s%1$u s%1$u s%5$u",
    "ZUNIONSTORE z%1$u 2 z%1$u z%5$u",
    "LREM l%1$u 2 e%2$u",
    "LINSERT l%1$u BEFORE e%2$u between",
    "LTRIM l%1$u 2 -3",
    "SDIFFSTORE small-s%4$u s%1$u s%5$u",
    "SET h%1$u overwritten",
    "SORT l%1$u ALPHA LIMIT 0 10 STORE small-l%4$u",
    "EXPIRE z%1$u 100000",
    "RENAME x%1$u x%5$u",
    "BITOP NOT bits%1$u bits%5$u",
};
static const char *const fleeting[] = {
    "SET gone%3$u v PX %4$u",
    "HSET volatile%4$u e%2$u v",
    "PEXPIRE volatile%4$u %4$u",
    "HSETEX fields%1$u PX %4$u FIELDS 1 e%2$u v",
    "GET gone%3$u",
    "HGET fields%1$u e%2$u",
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void queue_change(struct client *c, const char *pattern, uint64_t dice) {
    client_queue(c, pattern, (unsigned)(dice % CHURN_BIG), (unsigned)(dice >> 8) % CHURN_ELEMENTS,
                 (unsigned)(dice >> 16) % CHURN_KEYS, (unsigned)(dice >> 24) % CHURN_SMALL + 1,
                 (unsigned)(dice >> 40) % CHURN_BIG);
}
#pragma GCC diagnostic pop

static uint64_t roll(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static const char *draw_change(bool with_expiry, uint64_t kind) {
    if (with_expiry && kind % 4 == 0) return fleeting[kind / 4 % COUNT_OF(fleeting)];
    if (kind % RARE_OF == 1 && !with_expiry) return rare[kind / RARE_OF % COUNT_OF(rare)];
    return usual[kind / RARE_OF % COUNT_OF(usual)];
}

/* Fields of hashes with an expiry. */
static bool is_newer(const char *pattern) {
    return strncmp(pattern, "HP", 2) == 0 || strncmp(pattern, "HSETEX", 6) == 0;
}

static void change_once(struct client *c, const struct churn *churn, uint64_t *state) {
    uint64_t kind = roll(state) >> 20, dice = roll(state);
    const char *pattern = draw_change(churn->with_expiry, kind);
    queue_change(c, churn->old && is_newer(pattern) ? "INCR n%1$u" : pattern, dice);
}

static void *change(void *arg) {
    struct churn *churn = arg;
    struct client *c = server_connect(churn->server);
    uint64_t state = (atomic_fetch_add(&churn->next_seed, 1) + 1) * 0x9e3779b97f4a7c15ULL;
    if (churn->with_expiry) client_ask(c, "SELECT 5");
    while (!atomic_load(&churn->stop)) {
        for (int i = 0; i < BATCH; i++) change_once(c, churn, &state);
        drop_replies(c, BATCH);
        atomic_fetch_add(&churn->commands, BATCH);
    }
    client_close(c);
    return NULL;
}

void churn_start(struct churn *churn) {
    for (int i = 0; i < CHURN_THREADS; i++) pthread_create(&churn->threads[i], NULL, change, churn);
}

void churn_await(struct churn *churn, size_t commands) {
    size_t until = atomic_load(&churn->commands) + commands;
    for (int waited = 0; atomic_load(&churn->commands) < until; waited++) {
        if (waited > CLIENT_PATIENCE_MS) HARNESS_FAIL("commands are not answered");
        nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
    }
}

void churn_stop(struct churn *churn) {
    atomic_store(&churn->stop, true);
    for (int i = 0; i < CHURN_THREADS; i++) pthread_join(churn->threads[i], NULL);
}
