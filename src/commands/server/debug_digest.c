/* debug_digest.c: a fingerprint of the data set, to compare two servers.
 *
 * There are two ways to take something in: *adding* XORs its SHA-1 into the digest, so the order does not
 * matter (keys of a database, members of a set); *chaining* adds and then hashes the digest itself, so order
 * matters (a key, then its type, then its value). Source: the behaviour of DEBUG DIGEST, compared with a
 * running server. */
#include "debug.h"
#include "trivet/keyspace/scan.h"
#include "trivet/types/hash.h"
#include "trivet/types/list.h"
#include "trivet/types/set.h"
#include "trivet/types/stream.h"
#include "trivet/types/zset.h"
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>

static void sha1(const void *bytes, size_t len, unsigned char out[DIGEST_BYTES]) {
    unsigned size = 0;
    int done = EVP_Digest(len ? bytes : "", len, out, &size, EVP_sha1(), NULL);
    assert(done == 1 && size == DIGEST_BYTES);
}

static void add(struct digest *d, const void *bytes, size_t len) {
    unsigned char hash[DIGEST_BYTES];
    sha1(bytes, len, hash);
    for (int i = 0; i < DIGEST_BYTES; i++) d->bytes[i] ^= hash[i];
}

static void chain(struct digest *d, const void *bytes, size_t len) {
    add(d, bytes, len);
    unsigned char hash[DIGEST_BYTES];
    sha1(d->bytes, DIGEST_BYTES, hash);
    memcpy(d->bytes, hash, DIGEST_BYTES);
}

static void chain_number(struct digest *d, uint32_t n) {
    uint32_t big_endian = htonl(n);
    chain(d, &big_endian, sizeof big_endian);
}

static void chain_string(struct digest *d, const struct entry *e) {
    char scratch[INT64_TEXT_MAX];
    struct slice text = entry_text(e, scratch);
    chain(d, text.ptr, text.len);
}

static void chain_item(struct digest *d, struct listpack_item item) {
    char scratch[INT64_TEXT_MAX];
    struct slice text = item.text;
    if (!text.ptr) text = slice_make(scratch, int64_format(scratch, item.number));
    chain(d, text.ptr, text.len);
}

static void chain_list(struct digest *d, const struct entry *e) {
    struct list_walk w;
    struct listpack_item item;
    list_walk_begin(&w, entry_value(e), 0, false);
    while (list_walk_next(&w, &item)) chain_item(d, item);
    list_walk_end(&w);
}

/* Its entries only: two streams with other groups look the same. */
static void chain_stream(struct digest *d, const struct entry *e) {
    struct stream_walk w;
    stream_walk_begin(&w, stream_of(entry_value(e)), STREAM_ID_MIN, STREAM_ID_MAX, false);
    while (stream_walk_next(&w)) {
        char id[STREAM_ID_TEXT_MAX];
        size_t len = stream_id_format(id, w.id);
        *(char *)memchr(id, '-', len) = '.';
        chain(d, id, len);
        for (size_t i = 0; i < w.pairs; i++) {
            struct listpack_item field, value;
            stream_walk_pair(&w, &field, &value);
            chain_item(d, field);
            chain_item(d, value);
        }
    }
}

/* Pairs in any order, scores as Redis 7.0 writes them for this. */
static void add_zset(struct digest *d, const struct entry *e) {
    struct zset_walk w;
    zset_walk_all(&w, entry_value(e));
    while (zset_walk_next(&w)) {
        struct digest pair = { { 0 } };
        char score[DOUBLE_TEXT_MAX];
        chain(&pair, w.member.ptr, w.member.len);
        chain(&pair, score, (size_t)snprintf(score, sizeof score, "%.17g", w.score));
        add(d, pair.bytes, DIGEST_BYTES);
    }
}

static bool add_member(void *arg, struct slice member) {
    add(arg, member.ptr, member.len);
    return true;
}

static bool add_field(void *arg, const struct hash_field *f) {
    struct digest pair = { { 0 } };
    chain(&pair, f->name.ptr, f->name.len);
    chain(&pair, f->value.ptr, f->value.len);
    if (f->expiry_ms != HASH_NO_EXPIRY) add(&pair, &f->expiry_ms, sizeof f->expiry_ms);
    add(arg, pair.bytes, DIGEST_BYTES);
    return true;
}

static void chain_value(struct digest *d, const struct entry *e) {
    chain_number(d, e->type);
    switch (e->type) {
    case TYPE_STRING: chain_string(d, e); break;
    case TYPE_LIST: chain_list(d, e); break;
    case TYPE_ZSET: add_zset(d, e); break;
    case TYPE_SET: set_each(entry_value(e), add_member, d); break;
    case TYPE_HASH: hash_each(entry_value(e), add_field, d); break;
    case TYPE_STREAM: chain_stream(d, e); break;
    default: assert(!"DEBUG DIGEST knows every type of value");
    }
    if (e->has_expiry) add(d, "!!expire!!", 10);
}

void digest_value(const struct entry *e, struct digest *out) {
    *out = (struct digest){ { 0 } };
    chain_value(out, e);
}

struct digest_walk {
    struct digest *sum;
    int64_t now_ms;
};

static bool add_entry(void *arg, struct entry *e) {
    struct digest_walk *walk = arg;
    if (entry_is_expired(e, walk->now_ms)) return true;
    struct digest d = { { 0 } };
    struct slice key = entry_key(e);
    chain(&d, key.ptr, key.len);
    chain_value(&d, e);
    add(walk->sum, d.bytes, DIGEST_BYTES);
    return true;
}

void digest_everything(int64_t now_ms, struct digest *out) {
    struct digest_walk walk = { out, now_ms };
    *out = (struct digest){ { 0 } };
    for (uint32_t db = 0; db < keyspace_databases(); db++) {
        if (keyspace_count(db) == 0) continue;
        chain_number(out, db);
        keyspace_each(db, add_entry, &walk);
    }
}

void digest_hex(const struct digest *d, char out[2 * DIGEST_BYTES + 1]) {
    for (int i = 0; i < DIGEST_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", d->bytes[i]);
}
