/* cgroup.h: what a container leaves to this process: processors and memory.
 *
 * Reads the limits of the process's control groups, of version 2 and of version 1, and of all groups above
 * them as far as they can be seen, because each of them holds. A limit that cannot be read, or that makes no
 * sense, does not limit. Thread: any. */
#ifndef TRIVET_BASE_CGROUP_H
#define TRIVET_BASE_CGROUP_H

#include <stdint.h>

struct cgroup_limits {
    int64_t processors; /* the tightest quota, in whole processors, rounded up; 0: none */
    uint64_t memory;    /* the tightest limit, in bytes; 0: none */
};

/* `root` comes before every path: "" for this system, another folder for a test. */
struct cgroup_limits cgroup_limits(const char *root);

#endif
