/* file.h: a whole RDB file: a header, records, an end with a checksum.
 *
 *     "REDIS0011" or "VALKEY080"      magic and version, 9 bytes
 *     AUX name value ...              facts about the file: who wrote it, when
 *     SLOT_IMPORT name ranges ...     slots that are on their way to the writer: their keys are hidden
 *     FUNCTION2 code ...              libraries of functions
 *     SELECTDB n  RESIZEDB keys expires
 *       [EXPIRETIME_MS u64] [FREQ u8 | IDLE length] type key value ...
 *     EOF checksum                    crc64 of all before it, 8 bytes little endian; 0: none was taken
 *
 * Source: the public description of the format, and files of running servers. */
#ifndef TRIVET_PERSIST_RDB_FILE_H
#define TRIVET_PERSIST_RDB_FILE_H

#include "trivet/base/buf.h"
#include "trivet/persist/position.h"
#include "trivet/persist/rdb/values.h"
#include <stdatomic.h>

/* ---- what reader and writer share ---- */

#define RDB_MAGIC_REDIS LIT("REDIS")   /* and four digits: versions 1 to 11 */
#define RDB_MAGIC_VALKEY LIT("VALKEY") /* and three digits: versions from 80 on */
#define RDB_HEADER_BYTES 9
#define RDB_CHECKSUM_BYTES 8
#define RDB_VERSION_WITH_CHECKSUM 5
/* From here up to 79 versions are of Redis' own line, which is another format under the same name. */
#define RDB_VERSION_FOREIGN_MIN 12
#define RDB_VERSION_FOREIGN_MAX 79

/* Opcodes: bytes in the place of a value's type; lower numbers are types (enum rdb_type). */
enum rdb_opcode {
    /* Slots that are being moved here: name, number of ranges, first and last slot of each (Valkey 9). */
    RDB_OP_SLOT_IMPORT = 243,
    RDB_OP_SLOT_INFO = 244,       /* slot, keys, expires: a hint (other servers) */
    RDB_OP_FUNCTION2 = 245,       /* the code of a library, one string */
    RDB_OP_FUNCTION_PRE_GA = 246, /* libraries as candidates of 7.0 wrote them */
    RDB_OP_MODULE_AUX = 247,      /* module id, then words up to RDB_MODULE_EOF */
    RDB_OP_IDLE = 248,            /* seconds since the next key was used, a length */
    RDB_OP_FREQ = 249,            /* the next key's LFU counter, one byte */
    RDB_OP_AUX = 250,             /* name, value: strings */
    RDB_OP_RESIZEDB = 251,        /* keys, keys with an expiry: lengths */
    RDB_OP_EXPIRETIME_MS = 252,   /* the next key's expiry, 8 bytes */
    RDB_OP_EXPIRETIME = 253,      /* the same in seconds, 4 bytes */
    RDB_OP_SELECTDB = 254,        /* number, a length */
    RDB_OP_EOF = 255,
};

/* Where the libraries of functions are that a file holds as their code; filled at start-up. Thread: the gate
 * is closed, or the loading thread at start-up. */
struct rdb_libraries {
    void (*each)(void (*visit)(void *arg, struct slice code), void *arg);
    /* One that was in a file; it replaces an older one of the same name. False with what is wrong. */
    bool (*take)(struct slice code, struct buf *error);
    void (*clear)(void);
    /* All of these, in the place of those that are there; or nothing: false with what is wrong. */
    bool (*replace)(const struct slice *codes, size_t count, struct buf *error);
};
extern struct rdb_libraries rdb_libraries;

/* The slots of a cluster that are on their way to this node, of which a file for replicas tells; filled at
 * start-up. Gate closed. `ends`: the first and the last slot of each range, in turn, as uint16_t. */
struct rdb_imports {
    bool (*any)(void);
    void (*each)(void (*visit)(void *arg, struct slice name, struct slice ends), void *arg);
};
extern struct rdb_imports rdb_imports;
#define RDB_IMPORT_NAME_LEN 40
#define RDB_IMPORT_SLOTS 16384

/* ---- reading ---- */

/* What the AUX fields say; fields that were not there are empty or -1. */
struct rdb_facts {
    char redis_version[32], valkey_version[32]; /* who wrote it */
    /* repl-id, repl-offset, repl-stream-db. What cannot be true is left out; known if id and offset are
     * there. */
    struct stream_position position;
    int64_t written_s;   /* ctime: wall clock, seconds */
    int64_t used_memory; /* of the writer, bytes */
    bool is_aof_base;    /* aof-base, aof-preamble */
};

/* A key with its value, not decoded yet. */
struct rdb_record {
    uint64_t offset;   /* in the file, of the record's first byte: an expiry or a hint before the type, or the
                          type */
    struct slice body; /* in the reader's memory: the key as it is encoded, then the value */
    uint64_t body_offset;
    int64_t expiry_ms; /* or NO_EXPIRY */
    int64_t idle_s;    /* -1: not told */
    uint32_t db;
    int16_t frequency; /* -1: not told */
    uint8_t type;
};

enum rdb_event {
    RDB_EVENT_RECORD,   /* .record */
    RDB_EVENT_AUX,      /* .name, .value; the reader's facts have it if they know it */
    RDB_EVENT_DATABASE, /* .number: records from here on are in this database */
    RDB_EVENT_SIZES,    /* .keys, .expires: how many keys follow; only a hint */
    RDB_EVENT_LIBRARY,  /* .value */
    RDB_EVENT_MODULE,   /* .name: data of a module outside of keys; skipped */
    RDB_EVENT_SLOTS,    /* how many keys a slot has; skipped */
    RDB_EVENT_IMPORT,   /* .name, .value: the ends of the ranges, as in struct rdb_imports */
    RDB_EVENT_END,      /* the checksum is right, or there is none */
    RDB_EVENT_BROKEN,   /* see the reader's error; no event follows */
};

/* What rdb_reader_next gives. Slices lie in the reader's memory or, of AUX, IMPORT and LIBRARY, are valid
 * until the next call. */
struct rdb_item {
    struct rdb_record record;
    struct slice name, value;
    uint64_t number, keys, expires;
};

struct rdb_rules {
    bool no_checksum; /* do not look at it (rdbchecksum no) */
    bool relaxed;     /* try foreign and future versions too (rdb-version-check relaxed) */
};

/* Turns off the check of all checksums of files and payloads, whatever the rules say: to test with damaged
 * ones (DEBUG SET-SKIP-CHECKSUM-VALIDATION). Any thread. */
extern atomic_bool rdb_checksums_are_skipped;

/* Why a file was refused. */
struct rdb_error {
    uint64_t offset;
    const char *doing; /* "read-type", "read-key": a word of the check tool */
    struct buf what;   /* without file name and offset */
    struct buf key;    /* readable; empty if not known */
    int type;          /* -1: not known */
};
void rdb_error_release(struct rdb_error *e);

/* One file. The file is mapped. A page that cannot be read (a bad disk, a file cut meanwhile) is an error,
 * not a crash, because the reader asks the kernel for each page before it touches it. Thread: one; but any
 * may read records' bytes until rdb_reader_close. */
struct rdb_reader;
/* NULL with the reason in `error` if the file cannot be opened. */
MUST_CHECK struct rdb_reader *rdb_reader_open(const char *path, struct rdb_rules rules, struct buf *error);
/* Reads from memory, which stays the caller's. */
struct rdb_reader *rdb_reader_over(struct slice bytes, struct rdb_rules rules);
void rdb_reader_close(struct rdb_reader *r);
/* The first call reads the header too. */
enum rdb_event rdb_reader_next(struct rdb_reader *r, struct rdb_item *item);
/* The offset of the next byte, and the file's size. */
uint64_t rdb_reader_offset(const struct rdb_reader *r);
uint64_t rdb_reader_size(const struct rdb_reader *r);
/* After the first event; the facts are those of the AUX fields that came so far. */
int rdb_reader_version(const struct rdb_reader *r);
const struct rdb_facts *rdb_reader_facts(const struct rdb_reader *r);
enum rdb_sum { RDB_SUM_RIGHT, RDB_SUM_NONE, RDB_SUM_NOT_LOOKED_AT };
enum rdb_sum rdb_reader_sum(const struct rdb_reader *r); /* after RDB_EVENT_END */
/* After RDB_EVENT_BROKEN; the reader's. */
const struct rdb_error *rdb_reader_error(const struct rdb_reader *r);
/* "offset 17, key 'x', type 4 (hash): what". */
void rdb_error_describe(const struct rdb_error *e, struct buf *out);
/* The name of a type as the check tool says it, "?" for none. */
const char *rdb_type_name(unsigned type);

/* Is the file sound as a whole: framing and checksum? Values are not decoded. Describes what is wrong. */
MUST_CHECK bool rdb_verify(const char *path, struct rdb_rules rules, struct buf *error);

enum rdb_decoded {
    RDB_DECODED,
    RDB_DECODED_NOTHING, /* a collection without elements: there is no such key */
    RDB_DECODED_BROKEN,  /* `error` has all of it */
};
/* Makes the entry of a record; the caller owns it. Its access field is in the form of the present eviction
 * policy. Thread: any that may allocate. */
enum rdb_decoded rdb_record_decode(const struct rdb_record *record, int64_t now_ms, struct entry **out,
                                   struct rdb_error *error);
/* The key, readable, for messages; cut if it is long. */
void rdb_record_describe_key(const struct rdb_record *record, struct buf *out);

/* ---- checking ---- */

/* Reads everything and decodes every value, printing what trivet-check-rdb prints. True if all is well; *end
 * (may be NULL) is the offset after the RDB data, where an AOF may go on. */
MUST_CHECK bool rdb_check(const char *path, void (*print)(void *arg, const char *line), void *arg,
                          uint64_t *end);

#endif
