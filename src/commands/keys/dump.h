/* dump.h: the payload of DUMP, which MIGRATE sends to another server. */
#ifndef COMMANDS_KEYS_DUMP_H
#define COMMANDS_KEYS_DUMP_H

#include "trivet/base/buf.h"
#include "trivet/keyspace/entry.h"

/* The value with its type, version and checksum, in the version that rdb-write-version names. The caller
 * releases *out. */
void make_dump_payload(struct buf *out, const struct entry *e, int64_t now_ms);

/* The same in the oldest version that can hold the value: the target of a migration may be of any kind, and
 * asks for nothing before. */
void make_migration_payload(struct buf *out, const struct entry *e, int64_t now_ms);

struct call;
/* Puts the whole value of a key into the journal, as an effect in this database that makes it again. For what
 * comes from a database whose effects have other readers (keyspace/database.h). */
void journal_value(struct call *c, uint32_t db, const struct entry *e);

#endif
