/* scan.c: steps over values in the RDB format without decoding them.
 *
 * A value is a row of pieces, present once or repeated by a count before them; only streams nest deeper. So a
 * loader can cut a file into records by jumping from length to length, and leave the decoding to other
 * threads. The bytes between the lengths are not read here. */
#include "scan.h"

enum { LENGTH_32 = 0x80, LENGTH_64 = 0x81, STRING_INT8 = 0xc0, STRING_INT16, STRING_INT32, STRING_LZF };

/* ---- the pieces ---- */

static bool bad_value(struct rdb_scan *s) {
    s->bad = true;
    return false;
}

bool rdb_scan_bytes(struct rdb_scan *s, uint64_t count) {
    if (UNLIKELY(count > rdb_left(&s->in))) {
        s->short_of = count > (uint64_t)(s->end - s->in.at);
        return s->short_of ? bad_value(s) : false;
    }
    s->in.at += count;
    return true;
}

bool rdb_scan_length(struct rdb_scan *s, uint64_t *n) {
    size_t left = rdb_left(&s->in);
    if (UNLIKELY(left == 0)) return rdb_scan_bytes(s, 1);
    unsigned char first = *s->in.at;
    if (LIKELY(first < 1 << 6)) {
        *n = first;
        s->in.at++;
        return true;
    }
    if (first > LENGTH_64) return bad_value(s);
    size_t size = first < LENGTH_32 ? 2 : first == LENGTH_32 ? 5 : 9;
    return left < size ? rdb_scan_bytes(s, size) : rdb_take_length(&s->in, n);
}

static bool scan_compressed(struct rdb_scan *s) {
    uint64_t packed, plain;
    return rdb_scan_length(s, &packed) && rdb_scan_length(s, &plain) && rdb_scan_bytes(s, packed);
}

bool rdb_scan_string(struct rdb_scan *s) {
    if (UNLIKELY(rdb_left(&s->in) == 0)) return rdb_scan_bytes(s, 1);
    unsigned char first = *s->in.at;
    if (LIKELY(first < STRING_INT8)) {
        uint64_t len;
        return rdb_scan_length(s, &len) && rdb_scan_bytes(s, len);
    }
    if (first > STRING_LZF) return bad_value(s);
    s->in.at++;
    if (first == STRING_LZF) return scan_compressed(s);
    return rdb_scan_bytes(s, (uint64_t)1 << (first - STRING_INT8));
}

/* A length byte and decimals, or a length byte from 253 on that is all. */
static bool scan_old_double(struct rdb_scan *s) {
    if (rdb_left(&s->in) == 0) return rdb_scan_bytes(s, 1);
    unsigned char len = *s->in.at++;
    return len >= 253 || rdb_scan_bytes(s, len);
}

enum piece { PIECE_NONE, PIECE_STRING, PIECE_LENGTH, PIECE_OLD_DOUBLE, PIECE_8, PIECE_16 };

static bool scan_piece(struct rdb_scan *s, enum piece piece) {
    uint64_t n;
    switch (piece) {
    case PIECE_STRING: return rdb_scan_string(s);
    case PIECE_LENGTH: return rdb_scan_length(s, &n);
    case PIECE_OLD_DOUBLE: return scan_old_double(s);
    case PIECE_8: return rdb_scan_bytes(s, 8);
    case PIECE_16: return rdb_scan_bytes(s, 16);
    case PIECE_NONE: break;
    }
    return true;
}

#define PIECES_MAX 5

static bool scan_pieces(struct rdb_scan *s, const uint8_t pieces[PIECES_MAX]) {
    for (size_t i = 0; i < PIECES_MAX && pieces[i] != PIECE_NONE; i++)
        if (!scan_piece(s, (enum piece)pieces[i])) return false;
    return true;
}

/* A false count runs into the end of the bytes, because every piece takes at least one. */
static bool scan_counted(struct rdb_scan *s, const uint8_t pieces[PIECES_MAX]) {
    uint64_t count;
    if (!rdb_scan_length(s, &count)) return false;
    for (; count > 0; count--)
        if (!scan_pieces(s, pieces)) return false;
    return true;
}

/* ---- streams ---- */

static bool scan_consumers(struct rdb_scan *s, int form) {
    static const uint8_t head[2][PIECES_MAX] = { { PIECE_STRING, PIECE_8 },
                                                 { PIECE_STRING, PIECE_8, PIECE_8 } };
    static const uint8_t possession[PIECES_MAX] = { PIECE_16 };
    uint64_t count;
    if (!rdb_scan_length(s, &count)) return false;
    for (; count > 0; count--)
        if (!scan_pieces(s, head[form >= 3]) || !scan_counted(s, possession)) return false;
    return true;
}

static bool scan_groups(struct rdb_scan *s, int form) {
    /* name, last id, and how many entries were read */
    static const uint8_t head[2][PIECES_MAX] = {
        { PIECE_STRING, PIECE_LENGTH, PIECE_LENGTH },
        { PIECE_STRING, PIECE_LENGTH, PIECE_LENGTH, PIECE_LENGTH },
    };
    /* id, time of delivery, deliveries */
    static const uint8_t pending[PIECES_MAX] = { PIECE_16, PIECE_8, PIECE_LENGTH };
    uint64_t count;
    if (!rdb_scan_length(s, &count)) return false;
    for (; count > 0; count--)
        if (!scan_pieces(s, head[form >= 2]) || !scan_counted(s, pending) || !scan_consumers(s, form))
            return false;
    return true;
}

static bool scan_stream(struct rdb_scan *s, int form) {
    static const uint8_t node[PIECES_MAX] = { PIECE_STRING, PIECE_STRING };
    /* length and last id; first id, greatest deleted id, entries added */
    static const uint8_t numbers[PIECES_MAX] = { PIECE_LENGTH, PIECE_LENGTH, PIECE_LENGTH };
    static const uint8_t more[PIECES_MAX] = { PIECE_LENGTH, PIECE_LENGTH, PIECE_LENGTH, PIECE_LENGTH,
                                              PIECE_LENGTH };
    return scan_counted(s, node) && scan_pieces(s, numbers) && (form < 2 || scan_pieces(s, more)) &&
           scan_groups(s, form);
}

/* ---- modules ---- */

enum module_word { MODULE_EOF, MODULE_SINT, MODULE_UINT, MODULE_FLOAT, MODULE_DOUBLE, MODULE_STRING };

static bool scan_module_word(struct rdb_scan *s, uint64_t word) {
    uint64_t n;
    switch (word) {
    case MODULE_SINT:
    case MODULE_UINT: return rdb_scan_length(s, &n);
    case MODULE_FLOAT: return rdb_scan_bytes(s, 4);
    case MODULE_DOUBLE: return rdb_scan_bytes(s, 8);
    case MODULE_STRING: return rdb_scan_string(s);
    default: return bad_value(s);
    }
}

bool rdb_scan_module(struct rdb_scan *s) {
    for (;;) {
        uint64_t word = MODULE_EOF;
        if (!rdb_scan_length(s, &word)) return false;
        if (word == MODULE_EOF) return true;
        if (!scan_module_word(s, word)) return false;
    }
}

void rdb_module_name(uint64_t id, char out[RDB_MODULE_NAME_LEN + 1]) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    id >>= 10; /* the version of the encoding */
    for (int i = RDB_MODULE_NAME_LEN - 1; i >= 0; i--, id >>= 6) out[i] = letters[id & 63];
    out[RDB_MODULE_NAME_LEN] = '\0';
}

/* ---- all together ---- */

static const struct {
    bool is_known, is_counted;
    uint8_t pieces[PIECES_MAX];
} shapes[] = {
    [RDB_STRING] = { true, false, { PIECE_STRING } },
    [RDB_LIST] = { true, true, { PIECE_STRING } },
    [RDB_SET] = { true, true, { PIECE_STRING } },
    [RDB_ZSET] = { true, true, { PIECE_STRING, PIECE_OLD_DOUBLE } },
    [RDB_HASH] = { true, true, { PIECE_STRING, PIECE_STRING } },
    [RDB_ZSET_2] = { true, true, { PIECE_STRING, PIECE_8 } },
    [RDB_HASH_ZIPMAP] = { true, false, { PIECE_STRING } },
    [RDB_LIST_ZIPLIST] = { true, false, { PIECE_STRING } },
    [RDB_SET_INTSET] = { true, false, { PIECE_STRING } },
    [RDB_ZSET_ZIPLIST] = { true, false, { PIECE_STRING } },
    [RDB_HASH_ZIPLIST] = { true, false, { PIECE_STRING } },
    [RDB_LIST_QUICKLIST] = { true, true, { PIECE_STRING } },
    [RDB_HASH_LISTPACK] = { true, false, { PIECE_STRING } },
    [RDB_ZSET_LISTPACK] = { true, false, { PIECE_STRING } },
    [RDB_LIST_QUICKLIST_2] = { true, true, { PIECE_LENGTH, PIECE_STRING } },
    [RDB_SET_LISTPACK] = { true, false, { PIECE_STRING } },
    [RDB_HASH_2] = { true, true, { PIECE_STRING, PIECE_STRING, PIECE_8 } },
};

bool rdb_scan_value(struct rdb_scan *s, unsigned type) {
    uint64_t id;
    switch (type) {
    case RDB_STREAM: return scan_stream(s, 1);
    case RDB_STREAM_2: return scan_stream(s, 2);
    case RDB_STREAM_3: return scan_stream(s, 3);
    case RDB_MODULE_2: return rdb_scan_length(s, &id) && rdb_scan_module(s);
    default: break;
    }
    if (type >= COUNT_OF(shapes) || !shapes[type].is_known) return bad_value(s);
    return shapes[type].is_counted ? scan_counted(s, shapes[type].pieces)
                                   : scan_pieces(s, shapes[type].pieces);
}
