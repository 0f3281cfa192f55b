/* string_value.c: see string_value_private.h. */
#include "string_value.h"

void string_reply(struct reply *out, const struct entry *e) {
    if (!e) {
        reply_null(out);
        return;
    }
    char scratch[INT64_TEXT_MAX];
    if (UNLIKELY(e->encoding == ENCODING_BLOB))
        reply_bulk_blob(out, entry_blob(e));
    else
        reply_bulk(out, entry_text(e, scratch));
}

/* The blob of a big argument with a reference for the entry; the call keeps one too, because the journal may
 * read the argument after the entry is replaced (MSET names a key twice). */
static struct blob *share_argument(struct call *c, size_t index) {
    struct blob *b = call_take_blob(c, index);
    if (b) c->blobs[index] = blob_ref(b);
    return b;
}

static struct entry *new_entry(struct call *c, struct slice key, size_t value, int64_t expiry_ms) {
    struct slice text = c->argv[value];
    if (UNLIKELY(text.len > STRING_EMBED_MAX)) {
        struct blob *big = share_argument(c, value);
        if (big) return entry_new_blob(key, big, expiry_ms);
    }
    return entry_new_string(key, text, expiry_ms);
}

void string_store(struct call *c, struct slice key, size_t value, struct entry *old, int64_t expiry_ms) {
    if (!old) {
        keyspace_insert(&c->view, new_entry(c, key, value, expiry_ms));
        return;
    }
    if (entry_overwrite(old, c->argv[value], expiry_ms)) return;
    keyspace_replace(&c->view, old, new_entry(c, key, value, expiry_ms));
}

/* Room for a string that just grew to `len` bytes and is likely to grow again. */
static size_t room_to_grow(size_t len) {
    static const size_t most = 1024 * 1024;
    return len < most ? 2 * len : len + most;
}

char *string_writable(struct call *c, struct entry *e, size_t len) {
    struct keyspace_before before = keyspace_before(e);
    char *bytes = entry_make_writable(&e, len, room_to_grow(len));
    keyspace_moved(&c->view, before, e);
    return bytes;
}

char *string_writable_or_new(struct call *c, struct slice key, struct entry *e, size_t len) {
    if (e) return string_writable(c, e, len);
    e = entry_new_string(key, LIT(""), NO_EXPIRY);
    keyspace_insert(&c->view, e);
    return string_writable(c, e, len);
}
