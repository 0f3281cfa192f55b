/* check.h: checks AOF files without running them, for trivet-check-aof. Nothing here writes.
 * Thread: any; no state is kept. */
#ifndef TRIVET_PERSIST_AOF_CHECK_H
#define TRIVET_PERSIST_AOF_CHECK_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdbool.h>
#include <stdint.h>

/* The sort of file, by its first bytes. */
enum aof_content { AOF_CONTENT_COMMANDS, AOF_CONTENT_RDB, AOF_CONTENT_MANIFEST, AOF_CONTENT_UNREADABLE };
/* UNREADABLE (a folder, for example): the reason is in `error`. */
MUST_CHECK enum aof_content aof_content(const char *path, uint64_t *size, struct buf *error);

enum aof_verdict {
    AOF_SOUND,
    AOF_TORN,       /* it ends in a command or a transaction, or in zeros */
    AOF_DAMAGED,    /* a wrong checksum, or something else than a command */
    AOF_UNREADABLE, /* the system could not read it */
};
#define AOF_CHECK_NOWHERE UINT64_MAX
struct aof_checked {
    enum aof_verdict verdict;
    uint64_t size;
    uint64_t ok_up_to; /* cut here, it is sound */
    uint64_t lines;    /* of commands, up to where it went wrong */
    uint64_t offset;   /* where it went wrong; `what` says how */
    uint64_t beyond;   /* see aof_check */
    bool at_command;   /* a command should begin at `offset` */
    struct buf what;   /* the caller's to release */
};
/* Checks the commands from `begin` (the end of an RDB part) on: frames, transactions, checksum notes. It
 * stops at the first time note later than `until` seconds and puts its offset, or the start of the
 * transaction it is in, into `beyond` (NOWHERE: there is no such note). */
void aof_check(const char *path, uint64_t begin, int64_t until, struct aof_checked *out);

/* A manifest's files in the order in which they are loaded. */
struct aof_listed {
    struct {
        char *path; /* in the manifest's folder */
        bool is_base;
    } * files;
    size_t count;
};
/* False with the reason in `error`; nothing is to be released then. */
MUST_CHECK bool aof_list(const char *manifest, struct aof_listed *out, struct buf *error);
void aof_listed_release(struct aof_listed *l);

#endif
