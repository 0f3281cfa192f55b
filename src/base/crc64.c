/* crc64.c: a table-driven checksum.
 *
 * It takes eight bytes a step ("slice by eight"): tables[k][b] is what byte b adds when k more bytes follow
 * it. The tables are computed when the program is loaded, before any thread runs. 16 KB of numbers in the
 * source could hide a typing error. */
#include "trivet/base/crc64.h"
#include <string.h>

#define POLYNOMIAL_REFLECTED UINT64_C(0x95ac9329ac4bc9b5) /* 0xad93d23594c935a9, bits mirrored */

static uint64_t tables[8][256];

static uint64_t crc64_of_byte(unsigned byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL_REFLECTED : 0);
    return crc;
}

__attribute__((constructor)) static void fill_tables(void) {
    for (unsigned byte = 0; byte < 256; byte++) tables[0][byte] = crc64_of_byte(byte);
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
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
        crc = tables[7][crc & 0xff] ^ tables[6][(crc >> 8) & 0xff] ^ tables[5][(crc >> 16) & 0xff] ^
              tables[4][(crc >> 24) & 0xff] ^ tables[3][(crc >> 32) & 0xff] ^ tables[2][(crc >> 40) & 0xff] ^
              tables[1][(crc >> 48) & 0xff] ^ tables[0][crc >> 56];
    }
    for (; len > 0; p++, len--) crc = tables[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
    return crc;
}
