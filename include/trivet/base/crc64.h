/* crc64.h: the checksum (CRC64, Jones, reflected) that ends every RDB file and every DUMP. Pure functions.
 * Thread: any. */
#ifndef TRIVET_BASE_CRC64_H
#define TRIVET_BASE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over `len` more bytes. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t len);

#endif
