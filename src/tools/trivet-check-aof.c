/* trivet-check-aof.c: looks at append-only files and repairs their tails.
 *
 *   trivet-check-aof [--fix | --truncate-to-timestamp T] FILE|MANIFEST
 *
 * FILE is a single AOF, with an RDB part or without; of a MANIFEST all files are looked at. Exit status 0:
 * all is sound, or is by now; 1: not. What is printed, on standard output, is what operators and their
 * scripts know from redis-check-aof 7; checksum notes are looked at besides. Only the last file that is not
 * empty is ever cut: others end where the next one goes on. */
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/base/version.h"
#include "trivet/persist/aof/check.h"
#include "trivet/persist/rdb/file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NO_TIME INT64_MAX

static struct {
    bool fix;
    int64_t until; /* or NO_TIME */
    uint64_t line; /* counts through all files */
} task = { .until = NO_TIME, .line = 1 };

enum outcome {
    SOUND,
    EMPTY,
    FIXED, /* something was cut off, and now it is sound */
    BROKEN,
};

struct part {
    const char *path;
    const char *name; /* as it is printed */
    bool may_cut;
};

/* ---- cutting ---- */

static bool cut(const char *path, uint64_t size) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return done;
}

static bool is_confirmed(void) {
    char answer[8] = "";
    printf("Continue? [y/N]: ");
    fflush(stdout);
    if (!fgets(answer, sizeof answer, stdin)) return false;
    return answer[0] == 'y' || answer[0] == 'Y';
}

static enum outcome fix(const struct part *part, const struct aof_checked *c) {
    if (!part->may_cut) {
        printf("Failed to truncate AOF %s because it is not the last file\n", part->name);
        return BROKEN;
    }
    printf("This will shrink the AOF %s from %" PRIu64 " bytes, with %" PRIu64 " bytes, to %" PRIu64
           " bytes\n",
           part->name, c->size, c->size - c->ok_up_to, c->ok_up_to);
    if (!is_confirmed()) {
        printf("Aborting...\n");
        return BROKEN;
    }
    if (!cut(part->path, c->ok_up_to)) {
        printf("Failed to truncate AOF %s: %s\n", part->name, strerror(errno));
        return BROKEN;
    }
    printf("Successfully truncated AOF %s\n", part->name);
    return FIXED;
}

/* Something in the file is later than the time that is wanted. */
static enum outcome go_back(const struct part *part, const struct aof_checked *c) {
    if (c->beyond == 0) {
        printf("AOF %s has nothing before timestamp %" PRId64 ", aborting...\n", part->path, task.until);
        return BROKEN;
    }
    if (!part->may_cut) {
        printf(
            "Failed to truncate AOF %s to timestamp %" PRId64 " to offset %" PRIu64
            " because it is not the last file.\nTo do so all the same, remove the files that follow it, and "
            "their lines in the manifest, and start again.\n",
            part->path, task.until, c->beyond);
        return BROKEN;
    }
    if (!cut(part->path, c->beyond)) {
        printf("Failed to truncate AOF %s to timestamp %" PRId64 ": %s\n", part->name, task.until,
               strerror(errno));
        return BROKEN;
    }
    printf("Successfully truncated AOF %s to timestamp %" PRId64 "\n", part->name, task.until);
    return FIXED;
}

/* ---- one file ---- */

static void print_line(void *arg, const char *line) {
    (void)arg;
    puts(line);
}

static bool check_rdb_part(const struct part *part, uint64_t *end) {
    bool good = rdb_check(part->path, print_line, NULL, end);
    puts(good ? "RDB preamble is OK, proceeding with AOF tail..."
              : "RDB preamble of AOF file is not sane, aborting.");
    return good;
}

static void print_analysis(const struct part *part, const struct aof_checked *c) {
    if (c->at_command) printf("AOF %s format error\n", part->name);
    if (c->verdict != AOF_SOUND) printf("0x%16" PRIx64 ": %.*s\n", c->offset, SLICE_ARG(buf_slice(&c->what)));
    if (c->verdict == AOF_SOUND && task.until != NO_TIME)
        printf("Truncate nothing in AOF %s to timestamp %" PRId64 "\n", part->name, task.until);
    else
        printf("AOF analyzed: filename=%s, size=%" PRIu64 ", ok_up_to=%" PRIu64 ", ok_up_to_line=%" PRIu64
               ", diff=%" PRIu64 "\n",
               part->name, c->size, c->ok_up_to, task.line, c->size - c->ok_up_to);
}

static enum outcome judge(const struct part *part, const struct aof_checked *c) {
    task.line += c->lines;
    if (c->verdict == AOF_UNREADABLE) {
        printf("Cannot read file %s: %.*s\n", part->path, SLICE_ARG(buf_slice(&c->what)));
        return BROKEN;
    }
    if (c->beyond != AOF_CHECK_NOWHERE) return go_back(part, c);
    print_analysis(part, c);
    if (c->verdict == AOF_SOUND) return SOUND;
    if (task.fix) return fix(part, c);
    printf("AOF %s is not valid. Use the --fix option to try fixing it.\n", part->name);
    return BROKEN;
}

/* `kind` is printed in front of the file's name: "BASE AOF". */
static enum outcome check_part(const struct part *part, const char *kind, bool is_rdb) {
    uint64_t begin = 0;
    struct aof_checked c;
    if (is_rdb && !check_rdb_part(part, &begin)) return BROKEN;
    aof_check(part->path, begin, task.until, &c);
    enum outcome outcome = c.size == 0 && c.verdict == AOF_SOUND ? EMPTY : judge(part, &c);
    if (outcome == EMPTY) printf("%s %s is empty\n", kind, part->name);
    if (outcome == SOUND) printf("%s %s is valid\n", kind, part->name);
    buf_release(&c.what);
    return outcome;
}

/* ---- files of a manifest ---- */

/* All must be there before anything is looked at; *last is the last one that is not empty. */
static bool find_files(const struct aof_listed *l, enum aof_content *contents, size_t *last) {
    struct buf error = { 0 };
    bool all = true;
    *last = 0;
    for (size_t i = 0; i < l->count && all; i++) {
        uint64_t size = 0;
        contents[i] = aof_content(l->files[i].path, &size, &error);
        all = contents[i] != AOF_CONTENT_UNREADABLE;
        if (size > 0) *last = i;
    }
    if (!all) printf("%.*s\n", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    return all;
}

static bool check_files(const struct aof_listed *l, const enum aof_content *contents, size_t last) {
    bool incrs = false;
    for (size_t i = 0; i < l->count; i++) {
        const char *path = l->files[i].path, *slash = strrchr(path, '/');
        struct part part = { path, slash ? slash + 1 : path, i == last };
        bool is_rdb = contents[i] == AOF_CONTENT_RDB;
        if (l->files[i].is_base)
            printf("Start to check BASE AOF (%s format).\n", is_rdb ? "RDB" : "RESP");
        else if (!incrs)
            puts("Start to check INCR files.");
        incrs = !l->files[i].is_base;
        if (check_part(&part, incrs ? "INCR AOF" : "BASE AOF", is_rdb) == BROKEN) return false;
    }
    puts("All AOF files and manifest are valid");
    return true;
}

static bool check_manifest(const char *path) {
    struct aof_listed l;
    struct buf error = { 0 };
    puts("Start checking Multi Part AOF");
    bool listed = aof_list(path, &l, &error);
    if (!listed) printf("Invalid AOF manifest file %s: %.*s\n", path, SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    if (!listed) return false;
    enum aof_content *contents = mem_alloc_zero((l.count + 1) * sizeof *contents);
    size_t last;
    bool sound = find_files(&l, contents, &last) && check_files(&l, contents, last);
    mem_free(contents);
    aof_listed_release(&l);
    return sound;
}

static bool check(const char *path) {
    struct buf error = { 0 };
    uint64_t size;
    enum aof_content content = aof_content(path, &size, &error);
    if (content == AOF_CONTENT_UNREADABLE) printf("%.*s\n", SLICE_ARG(buf_slice(&error)));
    buf_release(&error);
    if (content == AOF_CONTENT_UNREADABLE) return false;
    if (content == AOF_CONTENT_MANIFEST) return check_manifest(path);
    puts("Start checking Old-Style AOF");
    struct part part = { path, path, true };
    return check_part(&part, "AOF", content == AOF_CONTENT_RDB) != BROKEN;
}

/* ---- the command line ---- */

static int usage(const char *program) {
    printf("Usage: %s [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n", program);
    return 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)) {
        printf("trivet-check-aof %s\n", TRIVET_VERSION);
        return 0;
    }
    task.fix = argc == 3 && strcmp(argv[1], "--fix") == 0;
    bool goes_back = argc == 4 && strcmp(argv[1], "--truncate-to-timestamp") == 0;
    if (argc != 2 && !task.fix && !goes_back) return usage(argv[0]);
    if (goes_back && !int64_parse(slice_of(argv[2]), &task.until)) {
        puts("Invalid timestamp, aborting...");
        return 1;
    }
    hash_init();
    return check(argv[argc - 1]) ? 0 : 1;
}
