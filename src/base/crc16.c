/* crc16.c: see crc16.h.
 *
 * A message is a polynomial over the two numbers 0 and 1, its first bit the highest power; the checksum is
 * message * x^16 modulo P = x^16 + x^12 + x^5 + 1. Zeros in front of a message change nothing. To add is to
 * xor; to multiply is what the processor does without carry. */
#include "trivet/base/crc16.h"
#include "trivet/base/compiler.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- by tables ---- */

#define POLYNOMIAL 0x1021u /* P without x^16 */

/* [k][b] is what byte b adds when k more bytes follow it. */
static uint16_t tables[8][256];

static uint16_t of_byte(unsigned byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; bit++) crc = (crc << 1) ^ ((crc & 0x8000u) ? POLYNOMIAL : 0);
    return (uint16_t)crc;
}

static void fill_tables(void) {
    for (unsigned byte = 0; byte < 256; byte++) tables[0][byte] = of_byte(byte);
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint16_t before = tables[k - 1][byte];
            tables[k][byte] = (uint16_t)(before << 8) ^ tables[0][before >> 8];
        }
    }
}

static uint16_t by_tables(struct slice s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len = s.len;
    unsigned crc = 0;
    for (; len >= 8; p += 8, len -= 8) {
        crc = (unsigned)tables[7][crc >> 8 ^ p[0]] ^ tables[6][(crc & 0xff) ^ p[1]] ^ tables[5][p[2]] ^
              tables[4][p[3]] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
    }
    for (; len > 0; p++, len--) crc = ((crc << 8) & 0xffffu) ^ tables[0][crc >> 8 ^ *p];
    return (uint16_t)crc;
}

static int64_t by_tables_or_brace(struct slice s) {
    const char *brace = s.len > 0 ? memchr(s.ptr, '{', s.len) : NULL;
    return brace ? -1 - (brace - s.ptr) : by_tables(s);
}

#define BY_TABLES \
    { .plain = by_tables, .or_brace = by_tables_or_brace }
const struct crc16_way crc16_by_tables = BY_TABLES;
struct crc16_way crc16_way = BY_TABLES;

/* ---- by multiplication ---- */

#if defined(__x86_64__)

#define MULTIPLIES __attribute__((target("pclmul,avx")))

/* For the two halves of sixteen bytes, the second half's first. */
struct factors {
    uint64_t low, high;
};
/* x^128 and x^192 modulo P: what both halves are worth when sixteen bytes follow. */
static const struct factors to_next = { 0xaefc, 0x650b };
/* Of x^80 / P and x^144 / P, without the remainders, what is below x^64. All of them: x^64 + low, and
 * x^128 + low * x^64 + high. */
static const struct factors quotients = { 0x11303471a041b343, 0xe569d503417ca4a2 };

/* Turns sixteen bytes round: the last one becomes the lowest. From n on it takes only the first 16 - n of
 * them, and sets those above to zero. */
#define NONE 255
static const unsigned char turned[32] = { 15,   14,   13,   12,   11,   10,   9,    8,    7,    6,    5,
                                          4,    3,    2,    1,    0,    NONE, NONE, NONE, NONE, NONE, NONE,
                                          NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE };

MULTIPLIES ALWAYS_INLINE __m128i load(const void *at) { return _mm_loadu_si128(at); }

MULTIPLIES ALWAYS_INLINE __m128i turn(__m128i block, size_t left_out) {
    return _mm_shuffle_epi8(block, load(turned + left_out));
}

static inline uint64_t load_eight(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap64(word);
}

static inline uint64_t load_four(const char *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return __builtin_bswap32(word);
}

/* Less than sixteen bytes, turned round. Reads nothing outside them: it loads some of them twice. */
MULTIPLIES ALWAYS_INLINE __m128i load_short(const char *p, size_t len) {
    uint64_t low = 0, high = 0;
    if (LIKELY(len >= 8)) {
        low = load_eight(p + len - 8);
        high = load_eight(p) >> 8 >> 8 * (15 - len);
    } else if (len >= 4) {
        low = load_four(p) << 8 * (len - 4) | load_four(p + len - 4);
    } else {
        for (size_t i = 0; i < len; i++) low = low << 8 | (unsigned char)p[i];
    }
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

/* The sum of both halves, each times its factor. */
MULTIPLIES ALWAYS_INLINE __m128i times(__m128i number, __m128i by) {
    return _mm_xor_si128(_mm_clmulepi64_si128(number, by, 0x00), _mm_clmulepi64_si128(number, by, 0x11));
}

/* The checksum of sixteen bytes: number * x^16, less P times the quotient of the two. It is below x^16, as
 * number * x^16 has nothing, so the lowest sixteen bits of the quotient say all of it. They are those above
 * x^64 of each half times its factor. */
MULTIPLIES ALWAYS_INLINE uint16_t remainder_of(__m128i number) {
    const __m128i by = load(&quotients);
    __m128i above = times(number, by); /* from x^64 on; and what the rest of the factors adds there: */
    __m128i rest = _mm_xor_si128(_mm_clmulepi64_si128(number, by, 0x01), number);
    uint64_t quotient = (uint64_t)_mm_extract_epi64(above, 1) ^ (uint64_t)_mm_cvtsi128_si64(rest);
    return (uint16_t)(quotient ^ quotient << 5 ^ quotient << 12);
}

/* A bit for each. */
MULTIPLIES ALWAYS_INLINE unsigned braces_in(__m128i bytes) {
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('{')));
}

MULTIPLIES ALWAYS_INLINE int64_t by_product_short(struct slice s, bool or_brace) {
    __m128i number = load_short(s.ptr, s.len);
    unsigned braces = or_brace ? braces_in(number) : 0;
    if (UNLIKELY(braces)) return -(int64_t)s.len + 31 - __builtin_clz(braces); /* it is turned round */
    return remainder_of(number);
}

MULTIPLIES ALWAYS_INLINE int64_t by_product(struct slice s, bool or_brace) {
    if (s.len < 16) return by_product_short(s, or_brace);
    /* The first step takes what is more than a multiple of sixteen. */
    size_t left_out = -s.len % 16;
    const char *at = s.ptr, *next = at + 16 - left_out, *end = at + s.len;
    __m128i block = load(at), number = turn(block, left_out);
    unsigned braces = or_brace ? braces_in(block) : 0;
    for (; !braces && next != end; next += 16) {
        at = next;
        block = load(at);
        braces = or_brace ? braces_in(block) : 0;
        number = _mm_xor_si128(times(number, load(&to_next)), turn(block, 0));
    }
    if (UNLIKELY(braces)) return -1 - (at - s.ptr) - __builtin_ctz(braces);
    return remainder_of(number);
}

MULTIPLIES static uint16_t by_product_plain(struct slice s) { return (uint16_t)by_product(s, false); }
MULTIPLIES static int64_t by_product_or_brace(struct slice s) { return by_product(s, true); }

static void choose_way(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx"))
        crc16_way = (struct crc16_way){ by_product_plain, by_product_or_brace };
}

#else

static void choose_way(void) {}

#endif

__attribute__((constructor)) static void begin(void) {
    fill_tables();
    choose_way();
}
