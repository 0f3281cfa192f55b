/* crc.h: the two checksums of the outside world. crc64 (Jones, reflected) ends every RDB file and every
 * DUMP; crc16 (XMODEM) chooses a key's cluster slot. Pure functions. Thread: any. */
#ifndef TRIVET_BASE_CRC_H
#define TRIVET_BASE_CRC_H

#include "trivet/base/slice.h"
#include <stdint.h>

/* Continues `crc` (0 at the start) over `len` more bytes. */
uint64_t crc64(uint64_t crc, const void *bytes, size_t len);
uint16_t crc16(struct slice s);

#endif
