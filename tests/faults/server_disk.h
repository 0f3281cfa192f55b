/* server_disk.h: starts servers of the harness on a disk as disk.h describes it.
 *
 *   disk_watch(folder, "")    servers that start from now on get the shim
 *   s = server_start("--dir", folder, ...)
 *   disk_fail(...), disk_heal()
 *   disk_release()
 *
 * The address sanitizer's library wants to come before all others, and is told that it need not. */
#ifndef TESTS_FAULTS_SERVER_DISK_H
#define TESTS_FAULTS_SERVER_DISK_H

#include "../harness/fail.h"
#include "disk.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct disk_control *disk_now;
static char disk_file[PATH_MAX];

static inline void disk_release(void) {
    if (!disk_now) return;
    unlink(disk_file);
    munmap(disk_now, sizeof *disk_now);
    unsetenv("LD_PRELOAD");
    unsetenv(DISK_CONTROL_NAME);
    disk_now = NULL;
}

static inline void disk_allow_before_sanitizer(void) {
    static const char allow[] = "verify_asan_link_order=0";
    const char *options = getenv("ASAN_OPTIONS");
    char more[512];
    if (options && strstr(options, allow)) return;
    snprintf(more, sizeof more, "%s%s%s", options ? options : "", options ? ":" : "", allow);
    setenv("ASAN_OPTIONS", more, 1);
}

/* `root` is the folder that is watched, `side` where the log for power cuts goes, or "". Servers that are
 * started from now on are concerned. */
static inline void disk_watch(const char *root, const char *side) {
    char shim[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", shim, sizeof shim - 64);
    if (len < 0) HARNESS_FAIL("cannot read the name of this program");
    shim[len] = '\0';
    char *tests = strstr(shim, "/tests/");
    if (!tests) HARNESS_FAIL("%s is not in a build folder", shim);
    strcpy(tests, "/tests/faults/disk_shim.so");
    if (access(shim, R_OK) != 0) HARNESS_FAIL("%s is not there", shim);

    disk_release();
    snprintf(disk_file, sizeof disk_file, "%s.disk", root);
    int fd = open(disk_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *disk_now) != 0)
        HARNESS_FAIL("cannot make %s: %s", disk_file, strerror(errno));
    disk_now = mmap(NULL, sizeof *disk_now, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (disk_now == MAP_FAILED) HARNESS_FAIL("cannot map %s", disk_file);
    close(fd);
    snprintf(disk_now->root, sizeof disk_now->root, "%s", root);
    snprintf(disk_now->side, sizeof disk_now->side, "%s", side);
    disk_allow_before_sanitizer();
    setenv("LD_PRELOAD", shim, 1);
    setenv(DISK_CONTROL_NAME, disk_file, 1);
}

static inline void disk_heal(void) { atomic_store(&disk_now->sorts, 0); }

/* See struct disk_control. */
static inline void disk_fail_some(int sorts, const char *match, int error, int skip, int count) {
    disk_heal();
    snprintf(disk_now->match, sizeof disk_now->match, "%s", match);
    atomic_store(&disk_now->error, error);
    atomic_store(&disk_now->skip, skip);
    atomic_store(&disk_now->count, count);
    atomic_store(&disk_now->failed, 0);
    atomic_store(&disk_now->seen, 0);
    atomic_store(&disk_now->half, 1);
    atomic_store(&disk_now->sorts, sorts);
}

static inline void disk_fail(int sorts, const char *match, int error) {
    disk_fail_some(sorts, match, error, 0, -1);
}

#endif
