/* version.h: which Trivet this is, and which Redis and Valkey it says it is compatible with. Thread:
 * constant. */
#ifndef TRIVET_BASE_VERSION_H
#define TRIVET_BASE_VERSION_H

#define TRIVET_VERSION "0.1.0"
/* What INFO, HELLO and LOLWUT tell clients that choose their commands by it. */
#define TRIVET_REDIS_VERSION "7.2.4"
/* The same for scripts, which may ask for Valkey's. */
#define TRIVET_VALKEY_VERSION "9.0.0"

#endif
