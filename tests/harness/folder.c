/* folder.c: see folder.h. */
#include "folder.h"
#include "fail.h"
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void folder_make(char path[FOLDER_PATH], const char *name) {
    snprintf(path, FOLDER_PATH, "/tmp/trivet-%s-XXXXXX", name);
    if (!mkdtemp(path)) HARNESS_FAIL("cannot make %s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

void folder_remove(const char *path) {
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        HARNESS_FAIL("cannot remove %s: %s", path, strerror(errno));
}
