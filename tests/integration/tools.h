/* tools.h: where the check tools of this build are, for tests that run them. */
#ifndef TESTS_INTEGRATION_TOOLS_H
#define TESTS_INTEGRATION_TOOLS_H

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beside the server: the one that tests are told to use, or the one of the folder this test was built in. */
static inline void tool_find(char path[PATH_MAX], const char *name) {
    const char *server = getenv("TRIVET_SERVER");
    if (server && *server) {
        assert(strlen(server) < PATH_MAX - 32);
        strcpy(path, server);
    } else {
        ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 32);
        assert(len > 0);
        path[len] = '\0';
        strcpy(strstr(path, "/tests/"), "/trivet-server");
    }
    strcpy(strrchr(path, '/') + 1, name);
}

#endif
