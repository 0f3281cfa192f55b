/* sha.h: digests by OpenSSL: SHA1, which names scripts, and SHA-256, which stands for passwords.
 * Pure. Thread: any. */
#ifndef TRIVET_BASE_SHA_H
#define TRIVET_BASE_SHA_H

#include "trivet/base/slice.h"
#include <stdint.h>

#define SHA1_HEX 40
#define SHA256_SIZE 32
#define SHA256_HEX (2 * SHA256_SIZE)

/* Hexadecimal texts are in lower case, without a NUL. */
void sha1_hex(struct slice bytes, char out[SHA1_HEX]);
void sha256(struct slice bytes, uint8_t out[SHA256_SIZE]);
void hex_format(const uint8_t *bytes, size_t count, char *out);

#endif
