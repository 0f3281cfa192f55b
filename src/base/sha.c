/* sha.c: see sha.h. */
#include "trivet/base/sha.h"
#include "trivet/base/compiler.h"
#include <openssl/sha.h>

static_assert(SHA1_HEX == 2 * SHA_DIGEST_LENGTH, "two digits a byte");
static_assert(SHA256_SIZE == SHA256_DIGEST_LENGTH, "as OpenSSL counts");

static const unsigned char *bytes_of(struct slice s) { return (const unsigned char *)(s.len ? s.ptr : ""); }

void hex_format(const uint8_t *bytes, size_t count, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void sha1_hex(struct slice bytes, char out[SHA1_HEX]) {
    unsigned char sum[SHA_DIGEST_LENGTH];
    SHA1(bytes_of(bytes), bytes.len, sum);
    hex_format(sum, sizeof sum, out);
}

void sha256(struct slice bytes, uint8_t out[SHA256_SIZE]) { SHA256(bytes_of(bytes), bytes.len, out); }
