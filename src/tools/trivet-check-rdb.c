/* trivet-check-rdb.c: trivet-check-rdb FILE: reads an RDB file as a server would and decodes every value.
 * Exit status 0: sound; 1: not, or it could not be read. */
#include "trivet/base/hashing.h"
#include "trivet/base/version.h"
#include "trivet/persist/rdb/file.h"
#include <stdio.h>
#include <string.h>

static void print_line(void *arg, const char *line) {
    (void)arg;
    puts(line);
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)) {
        printf("trivet-check-rdb %s\n", TRIVET_VERSION);
        return 0;
    }
    if (argc != 2) {
        fprintf(stderr, "Usage: %s <rdb-file-name>\n", argv[0]);
        return 1;
    }
    hash_init();
    return rdb_check(argv[1], print_line, NULL, NULL) ? 0 : 1;
}
