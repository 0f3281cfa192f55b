/* rdb_fixtures.h: values in forms that nobody writes any more, byte for byte, and what is in them.
 *
 * Put together from the descriptions of the formats; the stream is one that a running server wrote, and what
 * the older forms lack is left out. */
#ifndef TRIVET_TESTS_PERSIST_RDB_FIXTURES_H
#define TRIVET_TESTS_PERSIST_RDB_FIXTURES_H

#include "rdb_support.h"

struct fixture {
    const char *what;
    enum rdb_type type;
    enum value_type value_type;
    enum encoding encoding;
    struct slice bytes; /* behind the type */
    const char *text;   /* see describe() */
};

/* A ziplist begins with all its bytes, the offset of the last entry, and how many entries there are. */

/* Two texts, of 1 and 70 bytes, and integers in all six widths between them. */
#define X10 "xxxxxxxxxx"
#define X70 X10 X10 X10 X10 X10 X10 X10
#define MIXED_ZIPLIST                                                    \
    "\x75\0\0\0\x2b\0\0\0\x08\0"                                         \
    "\x00\x01\x61"                             /* a */                   \
    "\x03\xfd"                                 /* 12, as the encoding */ \
    "\x02\xfe\xf9"                             /* -7 */                  \
    "\x03\xc0\xe8\x03"                         /* 1000 */                \
    "\x04\xf0\x90\xee\xfe"                     /* -70000, three bytes */ \
    "\x05\xd0\x00\x00\x00\x40"                 /* 1073741824 */          \
    "\x06\xe0\x00\x00\x00\x00\x00\xff\xff\xff" /* -1099511627776 */      \
    "\x0a\x40\x46" X70 "\xff"
/* f, v, n, 12 */
#define PAIR_ZIPLIST             \
    "\x16\0\0\0\x13\0\0\0\x04\0" \
    "\x00\x01\x66\x03\x01\x76"   \
    "\x03\x01\x6e\x03\xfd\xff"
/* a, 1, b, 2.5 */
#define SCORE_ZIPLIST            \
    "\x18\0\0\0\x12\0\0\0\x04\0" \
    "\x00\x01\x61\x03\xf2"       \
    "\x02\x01\x62\x03\x03"       \
    "2.5\xff"
/* x, 5, y, -1: not in the order of the scores */
#define FALLING_ZIPLIST          \
    "\x16\0\0\0\x12\0\0\0\x04\0" \
    "\x00\x01\x78\x03\xf6"       \
    "\x02\x01\x79\x03\xfe\xff\xff"
/* a and 1, then b */
#define TWO_ZIPLISTS                                         \
    "\x10\x10\0\0\0\x0d\0\0\0\x02\0\x00\x01\x61\x03\xf2\xff" \
    "\x0e\x0e\0\0\0\x0a\0\0\0\x01\0\x00\x01\x62\xff"

#define RAW_1_1 "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1"
#define RAW_2_0 "\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0"
/* A node with the entries 1-1, 1-2 (deleted), 2-0 (other fields) and 3-5. */
#define STREAM_NODE                                                                \
    "\x01\x10" RAW_1_1 "\x40\x48"                                                  \
    "\x48\0\0\0\x1d\0"                                                             \
    "\x03\x01\x01\x01\x01\x01\x81\x66\x02\x00\x01"                                 \
    "\x02\x01\x00\x01\x00\x01\x81\x76\x02\x04\x01"                                 \
    "\x03\x01\x00\x01\x01\x01\x81\x77\x02\x04\x01"                                 \
    "\x00\x01\x01\x01\xdf\xff\x02\x02\x01\x81\x67\x02\x01\x01\x81\x68\x02\x02\x01" \
    "\x08\x01"                                                                     \
    "\x02\x01\x02\x01\x04\x01\x81\x7a\x02\x04\x01\xff"
#define STREAM_NUMBERS "\x03\x03\x05"              /* three entries, the last is 3-5 */
#define STREAM_MORE_NUMBERS "\x01\x01\x01\x02\x04" /* first 1-1, deleted up to 1-2, added 4 */
#define SEEN "\x53\x7b\x53\x06\xa2\x01\0\0"        /* 1795402464083 */
#define ACTIVE "\x52\x7b\x53\x06\xa2\x01\0\0"      /* a millisecond before */
#define NEVER "\xff\xff\xff\xff\xff\xff\xff\xff"
#define STREAM_PENDING "\x02" RAW_1_1 SEEN "\x01" RAW_2_0 SEEN "\x01"
#define CONSUMER_IDS "\x02" RAW_1_1 RAW_2_0

#define ENTRIES "1-1 f=v\n2-0 g=1 h=2\n3-5 f=z\n"
#define PENDING                                         \
    "pending 1-1 with c1 since 1795402464083 times 1\n" \
    "pending 2-0 with c1 since 1795402464083 times 1\n"

static const struct fixture fixtures[] = {
    { "a list of strings", RDB_LIST, TYPE_LIST, ENCODING_LISTPACK,
      LIT_INIT("\x02\x01" "a\xc0\x05"), "a\n5\n" },
    { "a ziplist as a list", RDB_LIST_ZIPLIST, TYPE_LIST, ENCODING_LISTPACK,
      LIT_INIT("\x40\x75" MIXED_ZIPLIST),
      "a\n12\n-7\n1000\n-70000\n1073741824\n-1099511627776\n" X70 "\n" },
    { "a quicklist of ziplists", RDB_LIST_QUICKLIST, TYPE_LIST, ENCODING_DEQUE,
      LIT_INIT("\x02" TWO_ZIPLISTS),
      "a\n1\nb\n" },
    { "a set of strings", RDB_SET, TYPE_SET, ENCODING_LISTPACK, LIT_INIT("\x02\x01" "a\xc0\x05"), "5\na\n" },
    { "a set of numbers", RDB_SET, TYPE_SET, ENCODING_INTSET, LIT_INIT("\x02\xc0\x07\xc0\x05"), "5\n7\n" },
    { "an intset of 16 bits", RDB_SET_INTSET, TYPE_SET, ENCODING_INTSET,
      LIT_INIT("\x0c\x02\0\0\0\x02\0\0\0\xff\xff\x05\0"), "-1\n5\n" },
    { "an intset of 32 bits", RDB_SET_INTSET, TYPE_SET, ENCODING_INTSET,
      LIT_INIT("\x10\x04\0\0\0\x02\0\0\0\x05\0\0\0\0\0\x01\0"), "5\n65536\n" },
    { "an intset of 64 bits", RDB_SET_INTSET, TYPE_SET, ENCODING_INTSET,
      LIT_INIT("\x10\x08\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0"), "4294967296\n" },
    { "scores as decimals", RDB_ZSET, TYPE_ZSET, ENCODING_LISTPACK,
      LIT_INIT("\x03\x01" "a\x03" "1.5\x01" "b\xfe\x01" "c\xff"), "c=-inf\na=1.5\nb=inf\n" },
    { "a ziplist as a sorted set", RDB_ZSET_ZIPLIST, TYPE_ZSET, ENCODING_LISTPACK,
      LIT_INIT("\x18" SCORE_ZIPLIST),
      "a=1\nb=2.5\n" },
    { "a ziplist in no order", RDB_ZSET_ZIPLIST, TYPE_ZSET, ENCODING_LISTPACK,
      LIT_INIT("\x16" FALLING_ZIPLIST),
      "y=-1\nx=5\n" },
    { "a hash of strings", RDB_HASH, TYPE_HASH, ENCODING_LISTPACK,
      LIT_INIT("\x01\x01" "f\xc0\x05"), "f=5\n" },
    { "a ziplist as a hash", RDB_HASH_ZIPLIST, TYPE_HASH, ENCODING_LISTPACK, LIT_INIT("\x16" PAIR_ZIPLIST),
      "f=v\nn=12\n" },
    { "a zipmap", RDB_HASH_ZIPMAP, TYPE_HASH, ENCODING_LISTPACK,
      LIT_INIT("\x11\x02\x01" "f\x01\x00" "v\x02" "gg\x03\x02" "www..\xff"), "f=v\ngg=www\n" },
    { "a zipmap that does not know its size", RDB_HASH_ZIPMAP, TYPE_HASH, ENCODING_LISTPACK,
      LIT_INIT("\x0c\xfe\x01" "f\xfe\x02\0\0\0\x00" "vv\xff"), "f=vv\n" },
    { "a stream of form 1", RDB_STREAM, TYPE_STREAM, ENCODING_STREAM,
      LIT_INIT(STREAM_NODE STREAM_NUMBERS "\x01\x01g\x02\x00" STREAM_PENDING
               "\x02\x02" "c1" SEEN CONSUMER_IDS "\x02" "c2" ACTIVE "\x00"),
      "last 3-5 first 1-1 deleted 0-0 added 3\n" ENTRIES "group g at 2-0 read -1\n" PENDING
      "consumer c1 seen 1795402464083 active 1795402464083 has 2\n"
      "consumer c2 seen 1795402464082 active 1795402464082 has 0\n" },
    { "a stream of form 2", RDB_STREAM_2, TYPE_STREAM, ENCODING_STREAM,
      LIT_INIT(STREAM_NODE STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01\x01g\x02\x00\x81" NEVER STREAM_PENDING
               "\x02\x02" "c1" SEEN CONSUMER_IDS "\x02" "c2" ACTIVE "\x00"),
      "last 3-5 first 1-1 deleted 1-2 added 4\n" ENTRIES "group g at 2-0 read -1\n" PENDING
      "consumer c1 seen 1795402464083 active 1795402464083 has 2\n"
      "consumer c2 seen 1795402464082 active 1795402464082 has 0\n" },
    { "a stream of form 3", RDB_STREAM_3, TYPE_STREAM, ENCODING_STREAM,
      LIT_INIT(STREAM_NODE STREAM_NUMBERS STREAM_MORE_NUMBERS "\x01\x01g\x02\x00\x03" STREAM_PENDING
               "\x02\x02" "c1" SEEN ACTIVE CONSUMER_IDS "\x02" "c2" SEEN NEVER "\x00"),
      "last 3-5 first 1-1 deleted 1-2 added 4\n" ENTRIES "group g at 2-0 read 3\n" PENDING
      "consumer c1 seen 1795402464083 active 1795402464082 has 2\n"
      "consumer c2 seen 1795402464083 active -1 has 0\n" },
};

static inline struct buf fixture_payload(const struct fixture *f) {
    struct buf b = { 0 };
    buf_append_byte(&b, (char)f->type);
    buf_append(&b, f->bytes);
    return b;
}

#endif
