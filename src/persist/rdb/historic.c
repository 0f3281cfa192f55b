/* historic.c: ziplists and zipmaps, which Redis wrote before 7.0 and before 2.6, turned into listpacks.
 *
 *     ziplist: total bytes (4) | offset of the last entry (4) | entries (2; 65535: count them) | entry ... |
 * 0xff entry: length of the one before (1 byte, or 0xfe and 4) | encoding | data encoding: 00 and 6 bits, 01
 * and 14 bits (big endian), 0x80 and 4 bytes (big endian): a text of that length; 0xc0, 0xd0, 0xe0, 0xf0,
 * 0xfe: an integer of 2, 4, 8, 3, 1 bytes; 0xf1..0xfd: 0..12 zipmap: pairs (1; 254: count them) | name, value
 * ... | 0xff name: length (1 byte below 254, or 0xfe and 4) | bytes;  value: length | free (1) | bytes | free
 * bytes
 *
 * Numbers are little endian where nothing else is said. Every byte is checked. */
#include "values_private.h"

enum { ZIPLIST_HEADER = 10, END_MARK = 0xff, LONG_MARK = 0xfe };

static uint64_t take_le(const unsigned char *at, size_t size) {
    uint64_t n = 0;
    for (size_t i = size; i > 0; i--) n = n << 8 | at[i - 1];
    return n;
}

static bool is_too_big(struct slice bytes) { return bytes.len > LISTPACK_BYTES_MAX / 4; }

/* ---- ziplist ---- */

struct zip_entry {
    struct slice text; /* ptr NULL: a number */
    int64_t number;
};

/* Reads the length of the entry before, at *at; moves *at after it. */
static bool take_previous(const unsigned char **at, const unsigned char *end, size_t *len) {
    size_t left = (size_t)(end - *at);
    if (left == 0 || **at == END_MARK) return false;
    if (**at < LONG_MARK) {
        *len = *(*at)++;
        return true;
    }
    if (left < 5) return false;
    *len = (size_t)take_le(*at + 1, 4);
    *at += 5;
    return true;
}

/* Bytes of the integer that an encoding announces; -1 for none of the integers. */
static int integer_size(unsigned encoding) {
    switch (encoding) {
    case 0xc0: return 2;
    case 0xd0: return 4;
    case 0xe0: return 8;
    case 0xf0: return 3;
    case 0xfe: return 1;
    default: return encoding >= 0xf1 && encoding <= 0xfd ? 0 : -1;
    }
}

static bool take_zip_integer(const unsigned char **at, const unsigned char *end, struct zip_entry *out) {
    unsigned encoding = *(*at)++;
    int size = integer_size(encoding);
    if (size < 0 || end - *at < size) return false;
    out->text = (struct slice){ NULL, 0 };
    if (size == 0) {
        out->number = (int64_t)(encoding & 15) - 1;
        return true;
    }
    int unused = 64 - 8 * size; /* shifted out and in again, for the sign */
    out->number = (int64_t)(take_le(*at, (size_t)size) << unused) >> unused;
    *at += size;
    return true;
}

static bool take_zip_text(const unsigned char **at, const unsigned char *end, struct zip_entry *out) {
    const unsigned char *p = *at;
    size_t left = (size_t)(end - p), head, len;
    switch (p[0] >> 6) {
    case 0: head = 1, len = p[0] & 63; break;
    case 1:
        if (left < 2) return false;
        head = 2, len = (size_t)(p[0] & 63) << 8 | p[1];
        break;
    default:
        if (left < 5) return false;
        head = 5, len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    }
    if (len > left - head) return false;
    out->text = slice_make(p + head, len);
    *at = p + head + len;
    return true;
}

static bool take_zip_entry(const unsigned char **at, const unsigned char *end, struct zip_entry *out) {
    if (*at == end) return false;
    return **at >= 0xc0 ? take_zip_integer(at, end, out) : take_zip_text(at, end, out);
}

static bool fill_from_ziplist(struct slice bytes, unsigned char **lp) {
    const unsigned char *begin = (const unsigned char *)bytes.ptr, *at = begin + ZIPLIST_HEADER;
    const unsigned char *end = begin + bytes.len - 1, *last = at;
    size_t previous = 0, count = 0;
    while (at < end) {
        const unsigned char *entry = at;
        size_t claimed;
        struct zip_entry e;
        if (!take_previous(&at, end, &claimed) || claimed != previous || !take_zip_entry(&at, end, &e))
            return false;
        *lp = e.text.ptr ? listpack_append(*lp, e.text) : listpack_append_number(*lp, e.number);
        previous = (size_t)(at - entry);
        last = entry;
        count++;
    }
    size_t stated = (size_t)take_le(begin + 8, 2);
    return take_le(begin + 4, 4) == (uint64_t)(last - begin) && (stated == UINT16_MAX || stated == count);
}

unsigned char *rdb_listpack_of_ziplist(struct slice bytes) {
    if (bytes.len < ZIPLIST_HEADER + 1 || is_too_big(bytes)) return NULL;
    const unsigned char *begin = (const unsigned char *)bytes.ptr;
    if (take_le(begin, 4) != bytes.len || begin[bytes.len - 1] != END_MARK) return NULL;
    unsigned char *lp = listpack_new();
    if (fill_from_ziplist(bytes, &lp)) return lp;
    listpack_free(lp);
    return NULL;
}

/* ---- zipmap ---- */

static bool take_map_length(const unsigned char **at, const unsigned char *end, size_t *len) {
    size_t left = (size_t)(end - *at);
    if (left == 0) return false;
    unsigned first = *(*at)++;
    if (first < LONG_MARK) {
        *len = first;
        return true;
    }
    if (first != LONG_MARK || left < 5) return false;
    *len = (size_t)take_le(*at, 4);
    *at += 4;
    return true;
}

/* A name, or a value with its free bytes. */
static bool take_map_text(const unsigned char **at, const unsigned char *end, bool is_value,
                          struct slice *out) {
    size_t len, spare = 0;
    if (!take_map_length(at, end, &len)) return false;
    if (is_value) {
        if (*at == end) return false;
        spare = *(*at)++;
    }
    size_t left = (size_t)(end - *at);
    if (len > left || spare > left - len) return false;
    *out = slice_make(*at, len);
    *at += len + spare;
    return true;
}

static bool fill_from_zipmap(struct slice bytes, unsigned char **lp) {
    const unsigned char *begin = (const unsigned char *)bytes.ptr, *at = begin + 1;
    const unsigned char *end = begin + bytes.len - 1;
    size_t pairs = 0;
    for (; at < end; pairs++) {
        struct slice name, value;
        if (!take_map_text(&at, end, false, &name) || !take_map_text(&at, end, true, &value)) return false;
        *lp = listpack_append(listpack_append(*lp, name), value);
    }
    return begin[0] >= LONG_MARK || begin[0] == pairs;
}

unsigned char *rdb_listpack_of_zipmap(struct slice bytes) {
    if (bytes.len < 2 || is_too_big(bytes) || (unsigned char)bytes.ptr[bytes.len - 1] != END_MARK)
        return NULL;
    unsigned char *lp = listpack_new();
    if (fill_from_zipmap(bytes, &lp)) return lp;
    listpack_free(lp);
    return NULL;
}
