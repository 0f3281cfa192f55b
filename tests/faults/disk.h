/* disk.h: a disk under the server that can be told to fail, and that remembers what a power cut would take.
 *
 * disk_shim.so, preloaded into the server, stands between it and the system calls that change files below a
 * folder. Test and shim share a page of memory, a file that both map: the test writes what shall go wrong,
 * the shim counts. Of the calls only those on files below the folder count. */
#ifndef TESTS_FAULTS_DISK_H
#define TESTS_FAULTS_DISK_H

#include <stdatomic.h>

enum disk_call {
    DISK_OPEN = 1,
    DISK_WRITE = 2,
    DISK_SYNC = 4, /* fsync and fdatasync */
    DISK_TRUNCATE = 8,
    DISK_RENAME = 16,
    DISK_UNLINK = 32,
    DISK_MKDIR = 64,
    DISK_ALL = 127,
    DISK_THREAD = 128, /* no call on files: the system has no thread left. `match` must be empty */
};

struct disk_control {
    char root[200]; /* set by the test before the server starts */
    char side[200]; /* where the log for power cuts goes; empty: there is none */
    /* Calls of these sorts, on paths that contain `match` (any if empty), fail with `error`: the first `skip`
     * of them still go well, then `count` go wrong (all if negative). */
    _Atomic int sorts, error, skip, count;
    char match[64];
    atomic_int half;   /* a write that fails writes half of its bytes first */
    atomic_int failed; /* calls that went wrong so far */
    atomic_int seen;   /* calls of `sorts` that matched, whether they went wrong or not */
};

/* The environment's name for the path of the shared file. */
#define DISK_CONTROL_NAME "TRIVET_TEST_DISK"

#endif
