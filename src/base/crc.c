/* crc.c: table-driven checksums.
 *
 * Both take eight bytes a step ("slice by eight"): tables[k][b] is what byte b adds when k more bytes follow
 * it. The tables are computed when the program is loaded, before any thread runs. 20 KB of numbers in the
 * source could hide a typing error. */
#include "trivet/base/crc.h"

#define CRC64_POLYNOMIAL_REFLECTED UINT64_C(0x95ac9329ac4bc9b5) /* 0xad93d23594c935a9, bits mirrored */
#define CRC16_POLYNOMIAL 0x1021u

static uint64_t tables64[8][256];
static uint16_t tables16[8][256];

static uint64_t crc64_of_byte(unsigned byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? CRC64_POLYNOMIAL_REFLECTED : 0);
    return crc;
}

static uint16_t crc16_of_byte(unsigned byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; bit++) crc = (crc << 1) ^ ((crc & 0x8000u) ? CRC16_POLYNOMIAL : 0);
    return (uint16_t)crc;
}

__attribute__((constructor)) static void fill_tables(void) {
    for (unsigned byte = 0; byte < 256; byte++) {
        tables16[0][byte] = crc16_of_byte(byte);
        tables64[0][byte] = crc64_of_byte(byte);
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t before = tables64[k - 1][byte];
            tables64[k][byte] = (before >> 8) ^ tables64[0][before & 0xff];
            uint16_t before16 = tables16[k - 1][byte];
            tables16[k][byte] = (uint16_t)(before16 << 8) ^ tables16[0][before16 >> 8];
        }
    }
}

/* The first byte in memory is the lowest of the number, on any machine. */
static uint64_t load_little_endian(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint64_t crc64(uint64_t crc, const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    for (; len >= 8; p += 8, len -= 8) {
        crc ^= load_little_endian(p);
        crc = tables64[7][crc & 0xff] ^ tables64[6][(crc >> 8) & 0xff] ^ tables64[5][(crc >> 16) & 0xff] ^
              tables64[4][(crc >> 24) & 0xff] ^ tables64[3][(crc >> 32) & 0xff] ^
              tables64[2][(crc >> 40) & 0xff] ^ tables64[1][(crc >> 48) & 0xff] ^ tables64[0][crc >> 56];
    }
    for (; len > 0; p++, len--) crc = tables64[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
    return crc;
}

uint16_t crc16(struct slice s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len = s.len;
    unsigned crc = 0;
    for (; len >= 8; p += 8, len -= 8) {
        crc = (unsigned)tables16[7][crc >> 8 ^ p[0]] ^ tables16[6][(crc & 0xff) ^ p[1]] ^ tables16[5][p[2]] ^
              tables16[4][p[3]] ^ tables16[3][p[4]] ^ tables16[2][p[5]] ^ tables16[1][p[6]] ^
              tables16[0][p[7]];
    }
    for (; len > 0; p++, len--) crc = ((crc << 8) & 0xffffu) ^ tables16[0][crc >> 8 ^ *p];
    return (uint16_t)crc;
}
