/* listpack.c: see listpack.h for the format.
 *
 * Everything rests on two pairs of functions: element_shape()/element_write() know how an element is put into
 * bytes, header_size()/data_size() how it is read back. */
#include "trivet/types/structures/listpack.h"
#include "trivet/base/mem.h"
#include <assert.h>

#define END 0xff
#define COUNT_UNKNOWN 65535
#define BACK_MAX 5 /* bytes of an element's backward length */

/* First bytes by kind: 0xxxxxxx is a number of 7 bits, the others are told apart by these bits. */
enum {
    STRING_6 = 0x80,  /* 10: length in 6 bits */
    NUMBER_13 = 0xc0, /* 110: 13 bits, signed */
    STRING_12 = 0xe0, /* 1110: length in 12 bits */
    STRING_32 = 0xf0,
    NUMBER_16 = 0xf1,
    NUMBER_24 = 0xf2,
    NUMBER_32 = 0xf3,
    NUMBER_64 = 0xf4,
};

/* ---- little-endian integers ---- */

static uint64_t read_le(const unsigned char *at, size_t bytes) {
    uint64_t n = 0;
    for (size_t i = bytes; i > 0; i--) n = n << 8 | at[i - 1];
    return n;
}

static void write_le(unsigned char *at, uint64_t n, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)(n >> (8 * i));
}

static void set_bytes(unsigned char *lp, size_t bytes) {
    uint32_t le = htole32((uint32_t)bytes);
    memcpy(lp, &le, sizeof le);
}

static size_t stored_count(const unsigned char *lp) {
    uint16_t le;
    memcpy(&le, lp + 4, sizeof le);
    return le16toh(le);
}

static void set_count(unsigned char *lp, size_t count) {
    uint16_t le = htole16((uint16_t)(count < COUNT_UNKNOWN ? count : COUNT_UNKNOWN));
    memcpy(lp + 4, &le, sizeof le);
}

/* ---- reading one element ---- */

/* Bytes before the data: encoding and length. */
static size_t header_size(const unsigned char *at) {
    if (at[0] < STRING_12 || at[0] >= NUMBER_16) return at[0] >= NUMBER_13 && at[0] < STRING_12 ? 2 : 1;
    return at[0] < STRING_32 ? 2 : 5;
}

static bool is_string(const unsigned char *at) {
    return (at[0] & 0xc0) == STRING_6 || (at[0] & 0xf0) == STRING_12 || at[0] == STRING_32;
}

/* Bytes of the data that follow the header; a number of 7 or 13 bits lies in the header. */
static size_t data_size(const unsigned char *at) {
    if ((at[0] & 0xc0) == STRING_6) return at[0] & 0x3f;
    if ((at[0] & 0xf0) == STRING_12) return (size_t)(at[0] & 0x0f) << 8 | at[1];
    switch (at[0]) {
    case STRING_32: return (size_t)read_le(at + 1, 4);
    case NUMBER_16: return 2;
    case NUMBER_24: return 3;
    case NUMBER_32: return 4;
    case NUMBER_64: return 8;
    default: return 0;
    }
}

static size_t back_size(size_t len) {
    size_t bytes = 1;
    while (len > 127 && bytes < BACK_MAX) {
        len >>= 7;
        bytes++;
    }
    return bytes;
}

/* The highest seven bits stand first; a set top bit says that more stand to the left. */
static void write_back(unsigned char *at, size_t len) {
    size_t bytes = back_size(len);
    for (size_t i = bytes; i > 0; i--) {
        at[i - 1] = (unsigned char)((len & 0x7f) | (i > 1 ? 0x80 : 0));
        len >>= 7;
    }
}

/* Read from its last byte to the left. */
static size_t read_back(const unsigned char *last) {
    size_t len = 0;
    for (unsigned shift = 0; shift < 7 * BACK_MAX; shift += 7, last--) {
        len |= (size_t)(*last & 0x7f) << shift;
        if (!(*last & 0x80)) break;
    }
    return len;
}

static size_t body_size(const unsigned char *at) { return header_size(at) + data_size(at); }

/* The short elements first: most are, and walking a listpack is nothing but this. */
static inline size_t element_size(const unsigned char *at) {
    if (at[0] < STRING_6) return 2;
    if (at[0] < NUMBER_13) return (size_t)(at[0] & 0x3f) + 2;
    if (at[0] < STRING_12) return 3;
    size_t body = body_size(at);
    return body + back_size(body);
}

static int64_t sign_extend(uint64_t n, unsigned bits) {
    uint64_t sign = (uint64_t)1 << (bits - 1);
    return (int64_t)((n ^ sign) - sign);
}

static int64_t read_number(const unsigned char *at) {
    if (at[0] < 0x80) return at[0];
    if ((at[0] & 0xe0) == NUMBER_13) return sign_extend((uint64_t)(at[0] & 0x1f) << 8 | at[1], 13);
    size_t bytes = data_size(at);
    return sign_extend(read_le(at + 1, bytes), (unsigned)bytes * 8);
}

struct listpack_item listpack_get(const unsigned char *at) {
    if (!is_string(at)) return (struct listpack_item){ .number = read_number(at) };
    return (struct listpack_item){ .text = slice_make(at + header_size(at), data_size(at)) };
}

struct slice listpack_text(const unsigned char *at, char *scratch) {
    struct listpack_item item = listpack_get(at);
    if (item.text.ptr) return item.text;
    return slice_make(scratch, int64_format(scratch, item.number));
}

/* ---- writing one element ---- */

/* An element to be: its first bytes, and the text behind them (none for a number). */
struct shape {
    unsigned char header[9];
    size_t header_len;
    struct slice text;
    size_t size; /* all bytes, the backward length included */
};

static struct shape finish_shape(struct shape s) {
    size_t body = s.header_len + s.text.len;
    s.size = body + back_size(body);
    return s;
}

static struct shape number_shape(int64_t n) {
    struct shape s = { .header_len = 1 };
    if (n >= 0 && n <= 127) {
        s.header[0] = (unsigned char)n;
        return finish_shape(s);
    }
    if (n >= -4096 && n <= 4095) {
        s.header[0] = (unsigned char)(NUMBER_13 | ((uint64_t)n >> 8 & 0x1f));
        s.header[1] = (unsigned char)n;
        s.header_len = 2;
        return finish_shape(s);
    }
    size_t bytes = 8;
    if (n >= INT16_MIN && n <= INT16_MAX)
        bytes = 2;
    else if (n >= -8388608 && n <= 8388607)
        bytes = 3;
    else if (n >= INT32_MIN && n <= INT32_MAX)
        bytes = 4;
    s.header[0] = bytes == 8 ? NUMBER_64 : (unsigned char)(NUMBER_16 + bytes - 2);
    write_le(s.header + 1, (uint64_t)n, bytes);
    s.header_len = 1 + bytes;
    return finish_shape(s);
}

static struct shape text_shape(struct slice text) {
    int64_t n;
    if (text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, &n)) return number_shape(n);
    struct shape s = { .text = text, .header_len = 1 };
    if (text.len < 64) {
        s.header[0] = (unsigned char)(STRING_6 | text.len);
    } else if (text.len < 4096) {
        s.header[0] = (unsigned char)(STRING_12 | text.len >> 8);
        s.header[1] = (unsigned char)text.len;
        s.header_len = 2;
    } else {
        s.header[0] = STRING_32;
        write_le(s.header + 1, text.len, 4);
        s.header_len = 5;
    }
    return finish_shape(s);
}

static void write_shape(unsigned char *at, const struct shape *s) {
    memcpy(at, s->header, s->header_len);
    if (s->text.len) memcpy(at + s->header_len, s->text.ptr, s->text.len);
    write_back(at + s->header_len + s->text.len, s->header_len + s->text.len);
}

size_t listpack_element_bytes(struct slice text) { return text_shape(text).size; }

/* ---- walking ---- */

static unsigned char *or_end(const unsigned char *at) { return *at == END ? NULL : unconst(at); }

unsigned char *listpack_first(const unsigned char *lp) { return or_end(lp + LISTPACK_HEADER); }

unsigned char *listpack_next(const unsigned char *lp, const unsigned char *at) {
    (void)lp;
    return or_end(at + element_size(at));
}

/* The element that ends just before `end`. */
static unsigned char *before(const unsigned char *end) {
    size_t body = read_back(end - 1);
    return unconst(end - back_size(body) - body);
}

unsigned char *listpack_last(const unsigned char *lp) {
    const unsigned char *end = lp + listpack_bytes(lp) - 1;
    return end == lp + LISTPACK_HEADER ? NULL : before(end);
}

unsigned char *listpack_previous(const unsigned char *lp, const unsigned char *at) {
    return at == lp + LISTPACK_HEADER ? NULL : before(at);
}

size_t listpack_count(const unsigned char *lp) {
    size_t count = stored_count(lp);
    if (count != COUNT_UNKNOWN) return count;
    count = 0;
    for (const unsigned char *at = listpack_first(lp); at; at = listpack_next(lp, at)) count++;
    return count;
}

unsigned char *listpack_at(const unsigned char *lp, int64_t index) {
    size_t count = stored_count(lp);
    if (count != COUNT_UNKNOWN) {
        if (index < 0) index += (int64_t)count;
        if (index < 0 || index >= (int64_t)count) return NULL;
        if (index > (int64_t)count / 2) index -= (int64_t)count; /* nearer from the end */
    }
    unsigned char *at = index >= 0 ? listpack_first(lp) : listpack_last(lp);
    for (; at && index > 0; index--) at = listpack_next(lp, at);
    for (; at && index < -1; index++) at = listpack_previous(lp, at);
    return at;
}

bool listpack_equals(const unsigned char *at, struct slice text) {
    struct listpack_item item = listpack_get(at);
    if (item.text.ptr) return slice_equal(item.text, text);
    int64_t n;
    return text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, &n) && n == item.number;
}

unsigned char *listpack_find(const unsigned char *lp, const unsigned char *from, struct slice text,
                             size_t skip) {
    int64_t n = 0;
    bool number = text.len > 0 && text.len < INT64_TEXT_MAX && int64_parse(text, &n);
    for (const unsigned char *at = from; at;) {
        /* a number that others wrote as text is found as well */
        if (is_string(at) ? slice_equal(listpack_get(at).text, text) : number && read_number(at) == n)
            return unconst(at);
        at = listpack_next(lp, at);
        for (size_t i = 0; i < skip && at; i++) at = listpack_next(lp, at);
    }
    return NULL;
}

/* ---- changing ---- */

static unsigned char *new_in(size_t room) {
    unsigned char *lp = mem_alloc(room);
    set_bytes(lp, LISTPACK_EMPTY_BYTES);
    set_count(lp, 0);
    lp[LISTPACK_HEADER] = END;
    return lp;
}

unsigned char *listpack_new(void) { return new_in(LISTPACK_EMPTY_BYTES); }

unsigned char *listpack_new_roomy(void) { return new_in(LISTPACK_KEEPS); }

void listpack_free(unsigned char *lp) { mem_free(lp); }

unsigned char *listpack_copy(const unsigned char *lp) {
    size_t bytes = listpack_bytes(lp);
    return memcpy(mem_alloc(bytes), lp, bytes);
}

unsigned char *listpack_shrink(unsigned char *lp) {
    size_t bytes = listpack_bytes(lp);
    return mem_good_size(bytes) < mem_size(lp) ? mem_realloc(lp, bytes) : lp;
}

/* Makes the `old` bytes at `offset` into `fresh` bytes, moving what follows; the count is the caller's. */
static unsigned char *resize_at(unsigned char *lp, size_t offset, size_t old, size_t fresh) {
    size_t bytes = listpack_bytes(lp), total = bytes - old + fresh;
    assert(total <= LISTPACK_BYTES_MAX);
    if (fresh > old && total > mem_size(lp)) lp = mem_realloc(lp, total);
    memmove(lp + offset + fresh, lp + offset + old, bytes - offset - old);
    set_bytes(lp, total);
    if (fresh >= old || bytes <= LISTPACK_KEEPS / 2) return lp; /* half empty then: it was shrunk before */
    size_t room = mem_size(lp);
    return room > LISTPACK_KEEPS && mem_good_size(total) * 2 <= room ? mem_realloc(lp, total) : lp;
}

static void count_changed(unsigned char *lp, size_t plus, size_t minus) {
    size_t count = stored_count(lp);
    if (count == COUNT_UNKNOWN) {
        if (minus > 0) set_count(lp, listpack_count(lp)); /* it may be countable again */
        return;
    }
    set_count(lp, count + plus - minus);
}

static unsigned char *insert_shape(unsigned char *lp, const unsigned char *at, const struct shape *s) {
    size_t offset = at ? (size_t)(at - lp) : listpack_bytes(lp) - 1;
    lp = resize_at(lp, offset, 0, s->size);
    write_shape(lp + offset, s);
    count_changed(lp, 1, 0);
    return lp;
}

unsigned char *listpack_insert(unsigned char *lp, const unsigned char *at, struct slice text) {
    struct shape s = text_shape(text);
    return insert_shape(lp, at, &s);
}

unsigned char *listpack_insert_number(unsigned char *lp, const unsigned char *at, int64_t n) {
    struct shape s = number_shape(n);
    return insert_shape(lp, at, &s);
}

unsigned char *listpack_append(unsigned char *lp, struct slice text) {
    return listpack_insert(lp, NULL, text);
}
unsigned char *listpack_append_number(unsigned char *lp, int64_t n) {
    return listpack_insert_number(lp, NULL, n);
}

static unsigned char *replace_shape(unsigned char *lp, unsigned char **at, const struct shape *s) {
    size_t offset = (size_t)(*at - lp);
    lp = resize_at(lp, offset, element_size(*at), s->size);
    write_shape(lp + offset, s);
    *at = lp + offset;
    return lp;
}

unsigned char *listpack_replace(unsigned char *lp, unsigned char **at, struct slice text) {
    struct shape s = text_shape(text);
    return replace_shape(lp, at, &s);
}

unsigned char *listpack_replace_number(unsigned char *lp, unsigned char **at, int64_t n) {
    struct shape s = number_shape(n);
    return replace_shape(lp, at, &s);
}

unsigned char *listpack_delete(unsigned char *lp, unsigned char *at, size_t count, unsigned char **after) {
    size_t offset = (size_t)(at - lp), gone = 0;
    unsigned char *stop = at;
    for (; gone < count && *stop != END; gone++) stop += element_size(stop);
    lp = resize_at(lp, offset, (size_t)(stop - at), 0);
    count_changed(lp, 0, gone);
    if (after) *after = or_end(lp + offset);
    return lp;
}

unsigned char *listpack_join(unsigned char *lp, const unsigned char *tail) {
    size_t add = listpack_bytes(tail) - LISTPACK_EMPTY_BYTES, offset = listpack_bytes(lp) - 1;
    size_t count = listpack_count(lp) + listpack_count(tail);
    lp = resize_at(lp, offset, 0, add);
    memcpy(lp + offset, tail + LISTPACK_HEADER, add);
    set_count(lp, count);
    return lp;
}

/* ---- validating ---- */

static bool known_first_byte(unsigned char c) { return c <= NUMBER_64; }

/* Does a whole element begin at `at`, with `left` bytes to the end of the listpack's last byte? */
static bool element_is_valid(const unsigned char *at, size_t left) {
    if (!known_first_byte(at[0])) return false;
    size_t header = header_size(at);
    if (header > left) return false;
    size_t body = header + data_size(at);
    if (body > left || body + back_size(body) > left) return false;
    unsigned char expected[BACK_MAX];
    write_back(expected, body);
    return memcmp(at + body, expected, back_size(body)) == 0;
}

bool listpack_is_valid(const unsigned char *bytes, size_t len,
                       bool (*visit)(void *arg, const unsigned char *at, size_t index), void *arg) {
    if (len < LISTPACK_EMPTY_BYTES || listpack_bytes(bytes) != len || bytes[len - 1] != END) return false;
    const unsigned char *at = bytes + LISTPACK_HEADER, *end = bytes + len - 1;
    size_t index = 0;
    while (at < end) {
        if (!element_is_valid(at, (size_t)(end - at))) return false;
        if (visit && !visit(arg, at, index)) return false;
        at += element_size(at);
        index++;
    }
    size_t stored = stored_count(bytes);
    return stored == COUNT_UNKNOWN || stored == index;
}
