/* fuzz_listpack.c: random bytes for the listpack validator; what it accepts is walked both ways, searched and
 * changed, beside a model that knows the hash of each element's text.
 *
 * The input's first byte says what it is: bytes to be judged as they are (0), the same with the total put
 * right (1), or elements without their backward lengths, which are added (2): that way nearly every input is
 * a sound listpack, if not one that we would write. The second byte seeds the changes. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/types/structures/listpack.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_init();
    return 0;
}

#define ELEMENTS_MAX 4200 /* an input has at most so many, and some are added */

static void must(bool holds) {
    if (!holds) abort();
}

/* ---- the input as a listpack ---- */

/* Bytes before the backward length; the format's description, not the code's. At most `left`. */
static size_t body_of(const uint8_t *at, size_t left) {
    size_t len = 1;
    if (at[0] >= 0x80 && at[0] < 0xc0) len = 1 + (at[0] & 63u);
    if (at[0] >= 0xc0 && at[0] < 0xe0) len = 2;
    if (at[0] >= 0xe0 && at[0] < 0xf0) len = left > 1 ? 2 + ((at[0] & 15u) << 8 | at[1]) : left + 1;
    if (at[0] == 0xf0) len = left > 4 ? 5 + (at[1] | (size_t)at[2] << 8) : left + 1;
    if (at[0] >= 0xf1) len = at[0] == 0xf4 ? 9 : 3 + at[0] - 0xf1u;
    return len < left ? len : left;
}

static size_t put_backwards(uint8_t *out, size_t len) {
    size_t bytes = len < 128 ? 1 : len < 16384 ? 2 : 3;
    for (size_t i = 0; i < bytes; i++)
        out[bytes - 1 - i] = (uint8_t)((len >> 7 * i & 127) | (i + 1 < bytes ? 128 : 0));
    return bytes;
}

static void put_header(uint8_t *out, size_t len, size_t count) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(len >> 8 * i);
    for (int i = 0; i < 2; i++) out[4 + i] = (uint8_t)(count >> 8 * i);
}

/* Each element grows by at most three bytes. The caller frees *out. */
static size_t build(const uint8_t *data, size_t size, uint8_t **out) {
    uint8_t *bytes = mem_alloc(LISTPACK_EMPTY_BYTES + 4 * size);
    size_t len = LISTPACK_HEADER, count = 0;
    for (size_t at = 0; at < size; count++) {
        size_t body = body_of(data + at, size - at);
        memcpy(bytes + len, data + at, body);
        len += body;
        len += put_backwards(bytes + len, body);
        at += body;
    }
    bytes[len++] = 0xff;
    put_header(bytes, len, count);
    *out = mem_realloc(bytes, len);
    return len;
}

static size_t prepare(const uint8_t *data, size_t size, uint8_t mode, uint8_t **out) {
    if (mode == 2) return build(data, size, out);
    *out = mem_alloc(size ? size : 1);
    if (size) memcpy(*out, data, size);
    if (mode == 1 && size >= LISTPACK_EMPTY_BYTES) put_header(*out, size, data[4] | (size_t)data[5] << 8);
    return size;
}

/* ---- looking ---- */

struct model {
    uint64_t at[ELEMENTS_MAX];
    size_t count;
};

static uint64_t print_of(const unsigned char *at) {
    char scratch[INT64_TEXT_MAX];
    return hash_bytes(listpack_text(at, scratch));
}

static bool count_element(void *arg, const unsigned char *at, size_t index) {
    struct model *m = arg;
    must(index == m->count && index < ELEMENTS_MAX);
    m->at[m->count++] = print_of(at);
    return true;
}

static void check(const unsigned char *lp, const struct model *m) {
    must(listpack_is_valid(lp, listpack_bytes(lp), NULL, NULL));
    must(listpack_count(lp) == m->count);
    size_t i = 0;
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) {
        must(i < m->count);
        must(print_of(at) == m->at[i++]);
    }
    must(i == m->count);
    for (const unsigned char *at = listpack_last(lp); at; at = listpack_previous(lp, at)) {
        must(i > 0);
        must(print_of(at) == m->at[--i]);
    }
    must(i == 0);
}

/* Each element is found, at its place or at an equal one before. */
static void check_search(const unsigned char *lp, const struct model *m) {
    size_t i = 0;
    for (unsigned char *at = listpack_first(lp); at && i < 64; at = listpack_next(lp, at), i++) {
        char scratch[INT64_TEXT_MAX];
        struct slice text = listpack_text(at, scratch);
        must(listpack_equals(at, text));
        must(listpack_find(lp, at, text, 0) == at);
        unsigned char *first = listpack_find(lp, listpack_first(lp), text, 0);
        must(first && first <= at && print_of(first) == m->at[i]);
        must(listpack_at(lp, (int64_t)i) == at);
        must(listpack_at(lp, (int64_t)i - (int64_t)m->count) == at);
    }
    must(!listpack_at(lp, (int64_t)m->count) && !listpack_at(lp, -(int64_t)m->count - 1));
}

/* ---- changing ---- */

static void model_replace(struct model *m, size_t index, size_t gone, const uint64_t *fresh, size_t count) {
    memmove(m->at + index + count, m->at + index + gone, (m->count - index - gone) * sizeof *m->at);
    if (count) memcpy(m->at + index, fresh, count * sizeof *fresh);
    m->count += count - gone;
}

struct change {
    struct slice text;
    bool is_number;
    int64_t number;
    uint64_t print;
};

static struct change next_change(uint32_t roll, char *room) {
    static char long_text[5000];
    static const int64_t numbers[] = { 0, 127, 128, -1, 4095, -4097, 40000, -9000000, INT32_MIN, INT64_MAX };
    struct change c = { .is_number = roll % 3 == 0, .number = numbers[roll / 3 % COUNT_OF(numbers)] };
    c.text = slice_make(room, int64_format(room, c.number));
    if (!c.is_number) c.text = slice_make(long_text, roll % 7 == 0 ? roll % sizeof long_text : roll % 200);
    c.print = hash_bytes(c.text);
    return c;
}

static unsigned char *change(unsigned char *lp, struct model *m, uint32_t roll) {
    char room[INT64_TEXT_MAX];
    struct change c = next_change(roll >> 4, room);
    size_t index = m->count ? (roll >> 8) % m->count : 0;
    unsigned char *at = m->count ? listpack_at(lp, (int64_t)index) : NULL;
    switch (roll % 5) {
    case 0:
        lp = c.is_number ? listpack_append_number(lp, c.number) : listpack_append(lp, c.text);
        model_replace(m, m->count, 0, &c.print, 1);
        return lp;
    case 1:
        lp = c.is_number ? listpack_insert_number(lp, at, c.number) : listpack_insert(lp, at, c.text);
        model_replace(m, index, 0, &c.print, 1);
        return lp;
    case 2:
        if (!at) return lp;
        lp = c.is_number ? listpack_replace_number(lp, &at, c.number) : listpack_replace(lp, &at, c.text);
        must(print_of(at) == c.print);
        model_replace(m, index, 1, &c.print, 1);
        return lp;
    case 3: {
        size_t gone = 1 + (roll >> 20) % 3;
        if (!at) return lp;
        lp = listpack_delete(lp, at, gone, &at);
        if (gone > m->count - index) gone = m->count - index;
        model_replace(m, index, gone, NULL, 0);
        must(at ? print_of(at) == m->at[index] : index == m->count);
        return lp;
    }
    default: return listpack_shrink(lp);
    }
}

/* Joined with what it was before the changes. */
static unsigned char *join(unsigned char *lp, struct model *m, const unsigned char *tail,
                           const struct model *of) {
    if (m->count + of->count > ELEMENTS_MAX) return lp;
    lp = listpack_join(lp, tail);
    model_replace(m, m->count, 0, of->at, of->count);
    check(lp, m);
    return lp;
}

static void exercise(const unsigned char *sound, const struct model *original, uint8_t seed) {
    static struct model m;
    m = *original;
    unsigned char *lp = listpack_copy(sound);
    check(lp, &m);
    check_search(lp, &m);
    uint32_t roll = seed * 2654435761u + 1;
    for (int step = 0; step < 12; step++) {
        roll = roll * 1664525u + 1013904223u;
        lp = change(lp, &m, roll >> 3);
        check(lp, &m);
    }
    lp = join(lp, &m, sound, original);
    listpack_free(lp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct model original;
    uint8_t *bytes;
    if (size < 2 || size > 4096) return 0;
    size_t len = prepare(data + 2, size - 2, data[0] % 3, &bytes);
    original.count = 0;
    if (listpack_is_valid(bytes, len, count_element, &original)) exercise(bytes, &original, data[1]);
    mem_free(bytes);
    return 0;
}
