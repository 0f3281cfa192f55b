/* power_cut.h: puts a folder into a state that a power cut may leave, by the log of disk_log.h.
 *
 *   power_begin(&p, root)   what lies in the folder now is safe; from here on the log counts
 *   (a program runs and dies)
 *   power_cut(&p, plan)     the folder is what a cut at that moment leaves; power_begin may follow
 *
 * What was not fsynced may be there or not, so the plan says which it shall be. Names come back in the order
 * in which they changed, as journals of file systems keep it: a later change is never there without an
 * earlier. Bytes of a file that were not fsynced are there up to some point; behind it the file ends, or is
 * filled with zeros to its full length, as ext4 and xfs leave extents that were allocated and not written. */
#ifndef TESTS_FAULTS_POWER_CUT_H
#define TESTS_FAULTS_POWER_CUT_H

#include "disk_log.h"
#include <dirent.h>
#include <errno.h>
#include <stdint.h>

/* Unit tests, which have no harness, define it before. */
#ifndef POWER_FAIL
#include "../harness/fail.h"
#define POWER_FAIL(...) HARNESS_FAIL(__VA_ARGS__)
#endif

enum power_part { KEEP_NOTHING, KEEP_SOME, KEEP_ALL };

struct power_plan {
    enum power_part names; /* changes of names that no fsync of their folder covers */
    enum power_part bytes; /* of files, that no fsync covers */
    bool zeros;            /* where bytes end, zeros follow */
};

#define POWER_NAMES 64
#define POWER_CHANGES 16384

struct power_name {
    char path[192];
    uint64_t inode; /* 0: a folder */
};

/* A change of names that may be lost. */
struct power_change {
    char what; /* C, R, U, M */
    char path[192], to[192];
    uint64_t inode;
    bool safe;
};

struct power_file {
    uint64_t inode, safe;
};

struct power {
    char root[PATH_MAX], side[PATH_MAX];
    uint64_t random;
    struct power_name names[POWER_NAMES];
    size_t name_count;
    struct power_change changes[POWER_CHANGES];
    size_t change_count;
    struct power_file files[POWER_CHANGES];
    size_t file_count;
    uint64_t lost; /* bytes that the last cut took */
};

static inline uint64_t power_draw(struct power *p, uint64_t below) {
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random % below;
}

static inline void power_path(char *out, const char *dir, const char *name) {
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX) POWER_FAIL("a path is too long");
}

/* Removes all files of a folder, and the folders in it that hold only files. */
static inline void power_empty(const char *dir) {
    char path[PATH_MAX];
    DIR *opened = opendir(dir);
    struct dirent *entry;
    while (opened && (entry = readdir(opened)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        power_path(path, dir, entry->d_name);
        if (unlink(path) == 0) continue;
        power_empty(path);
        if (rmdir(path) != 0) POWER_FAIL("cannot remove %s: %s", path, strerror(errno));
    }
    if (opened) closedir(opened);
}

/* ---- before ---- */

/* What is there is safe. */
static inline void power_enter(const struct disk_log *d, const char *dir) {
    char path[PATH_MAX];
    struct stat facts;
    DIR *opened = opendir(dir);
    struct dirent *entry;
    if (!opened) POWER_FAIL("cannot look into %s: %s", dir, strerror(errno));
    while ((entry = readdir(opened)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        power_path(path, dir, entry->d_name);
        if (stat(path, &facts) != 0) continue;
        if (S_ISDIR(facts.st_mode)) {
            disk_log_made(d, path);
            power_enter(d, path);
        } else if (S_ISREG(facts.st_mode)) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0) POWER_FAIL("cannot open %s: %s", path, strerror(errno));
            disk_log_opened(d, path, fd, true, false);
            disk_log_synced(d, fd, (unsigned long long)facts.st_size);
            close(fd);
        }
    }
    closedir(opened);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) POWER_FAIL("cannot open %s: %s", dir, strerror(errno));
    disk_log_synced(d, fd, 0);
    close(fd);
}

/* `side` is a folder that exists, beside `root` and on the same file system. */
static inline void power_begin(struct power *p, const char *root, const char *side) {
    struct disk_log d;
    snprintf(p->root, sizeof p->root, "%s", root);
    snprintf(p->side, sizeof p->side, "%s", side);
    if (p->random == 0) p->random = 88172645463325252u;
    power_empty(side);
    disk_log_open(&d, root, side);
    power_enter(&d, root);
    close(d.fd);
}

/* ---- what the log says ---- */

static inline struct power_file *power_file(struct power *p, uint64_t inode) {
    for (size_t i = 0; i < p->file_count; i++)
        if (p->files[i].inode == inode) return &p->files[i];
    return NULL;
}

static inline bool power_is_in(const char *path, const char *dir) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strcmp(dir, ".") == 0;
    return strlen(dir) == (size_t)(slash - path) && strncmp(path, dir, (size_t)(slash - path)) == 0;
}

static inline void power_note_change(struct power *p, char what, uint64_t inode, const char *path,
                                     const char *to) {
    if (p->change_count == POWER_CHANGES) POWER_FAIL("too many changes since the last power cut");
    struct power_change *c = &p->changes[p->change_count++];
    *c = (struct power_change){ .what = what, .inode = inode };
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->to, sizeof c->to, "%s", to);
    if (what == 'C') p->files[p->file_count++] = (struct power_file){ .inode = inode };
}

static inline void power_note_folder(struct power *p, const char *dir) {
    for (size_t i = 0; i < p->change_count; i++)
        if (power_is_in(p->changes[i].path, dir)) p->changes[i].safe = true;
}

static inline void power_note_line(struct power *p, const char *line) {
    unsigned long long inode = 0, bytes = 0;
    char path[192] = "", to[192] = "";
    struct power_file *f;
    switch (line[0]) {
    case 'C':
        if (sscanf(line, "C %llu %191s", &inode, path) != 2) break;
        power_note_change(p, 'C', inode, path, "");
        return;
    case 'S':
        if (sscanf(line, "S %llu %llu", &inode, &bytes) != 2) break;
        if ((f = power_file(p, inode)) && bytes > f->safe) f->safe = bytes;
        return;
    case 'T':
        if (sscanf(line, "T %llu %llu", &inode, &bytes) != 2) break;
        if ((f = power_file(p, inode)) && bytes < f->safe) f->safe = bytes;
        return;
    case 'R':
        if (sscanf(line, "R %191s %191s", path, to) != 2) break;
        power_note_change(p, 'R', 0, path, to);
        return;
    case 'U':
    case 'M':
        if (sscanf(line + 1, " %191s", path) != 1) break;
        power_note_change(p, line[0], 0, path, "");
        return;
    case 'D':
        if (sscanf(line, "D %191s", path) != 1) break;
        power_note_folder(p, path);
        return;
    default: break;
    }
    POWER_FAIL("the disk's log has a line '%s'", line);
}

static inline void power_read_log(struct power *p) {
    char path[PATH_MAX], line[512];
    power_path(path, p->side, "log");
    p->name_count = p->change_count = p->file_count = 0;
    FILE *log = fopen(path, "re");
    if (!log) POWER_FAIL("cannot read %s: %s", path, strerror(errno));
    while (fgets(line, sizeof line, log)) power_note_line(p, line);
    fclose(log);
}

/* ---- the names that are there ---- */

static inline size_t power_find(const struct power *p, const char *path) {
    size_t i = 0;
    while (i < p->name_count && strcmp(p->names[i].path, path) != 0) i++;
    return i;
}

static inline void power_set(struct power *p, const char *path, uint64_t inode) {
    size_t at = power_find(p, path);
    if (at == POWER_NAMES) POWER_FAIL("too many files");
    if (at == p->name_count) p->name_count++;
    p->names[at].inode = inode;
    snprintf(p->names[at].path, sizeof p->names[at].path, "%s", path);
}

static inline void power_remove(struct power *p, const char *path) {
    size_t at = power_find(p, path);
    if (at < p->name_count) p->names[at] = p->names[--p->name_count];
}

static inline void power_apply(struct power *p, const struct power_change *c) {
    size_t at = power_find(p, c->path);
    switch (c->what) {
    case 'C': power_set(p, c->path, c->inode); return;
    case 'M': power_set(p, c->path, 0); return;
    case 'U': power_remove(p, c->path); return;
    default: break;
    }
    if (at == p->name_count) return; /* what is renamed was lost */
    uint64_t inode = p->names[at].inode;
    power_remove(p, c->path);
    power_set(p, c->to, inode);
}

/* All safe changes, and of the others as many as the plan says, the oldest first. */
static inline void power_apply_all(struct power *p, enum power_part names) {
    size_t open = 0, kept = 0;
    for (size_t i = 0; i < p->change_count; i++) open += !p->changes[i].safe;
    if (names == KEEP_SOME) kept = (size_t)power_draw(p, open + 1);
    if (names == KEEP_ALL) kept = open;
    for (size_t i = 0; i < p->change_count; i++) {
        if (!p->changes[i].safe && kept == 0) continue;
        if (!p->changes[i].safe) kept--;
        power_apply(p, &p->changes[i]);
    }
}

/* ---- the folder as it is then ---- */

static inline void power_copy(struct power *p, const char *from, const char *to, uint64_t safe,
                              struct power_plan plan) {
    struct stat facts;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (in < 0 || out < 0 || fstat(in, &facts) != 0) POWER_FAIL("cannot copy to %s: %s", to, strerror(errno));
    uint64_t size = (uint64_t)facts.st_size, kept = safe < size ? safe : size;
    if (plan.bytes == KEEP_ALL) kept = size;
    if (plan.bytes == KEEP_SOME) kept += power_draw(p, size - kept + 1);
    p->lost += size - kept;
    char bytes[65536];
    for (uint64_t at = 0; at < kept;) {
        size_t wanted = kept - at < sizeof bytes ? (size_t)(kept - at) : sizeof bytes;
        ssize_t got = read(in, bytes, wanted);
        if (got <= 0 || write(out, bytes, (size_t)got) != got) POWER_FAIL("cannot copy to %s", to);
        at += (uint64_t)got;
    }
    if (plan.zeros && kept < size && ftruncate(out, (off_t)size) != 0) POWER_FAIL("cannot fill %s", to);
    close(in);
    close(out);
}

/* Files that the log does not know (a server's own log) stay as they are. */
static inline void power_remove_known(const struct power *p) {
    char path[PATH_MAX];
    for (size_t i = p->change_count; i > 0; i--) {
        const struct power_change *c = &p->changes[i - 1];
        power_path(path, p->root, c->path);
        if (c->what == 'M')
            power_empty(path);
        else
            (void)unlink(path);
        power_path(path, p->root, c->to);
        if (c->to[0]) (void)unlink(path);
    }
}

/* False: the folder of this file was lost. */
static inline bool power_has_parent(const struct power *p, const char *path) {
    char parent[192];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash) return true;
    *slash = '\0';
    return power_find(p, parent) < p->name_count;
}

static inline void power_make_folders(const struct power *p) {
    char path[PATH_MAX];
    for (size_t i = 0; i < p->change_count; i++) {
        power_path(path, p->root, p->changes[i].path);
        if (p->changes[i].what == 'M') (void)rmdir(path);
    }
    for (size_t i = 0; i < p->name_count; i++) {
        power_path(path, p->root, p->names[i].path);
        if (p->names[i].inode == 0 && mkdir(path, 0755) != 0)
            POWER_FAIL("cannot make %s: %s", path, strerror(errno));
    }
}

/* May be called again with another plan: what the log knows is not changed. */
static inline void power_cut(struct power *p, struct power_plan plan) {
    char from[PATH_MAX], to[PATH_MAX], inode[32];
    power_read_log(p);
    power_apply_all(p, plan.names);
    p->lost = 0;
    power_remove_known(p);
    power_make_folders(p);
    for (size_t i = 0; i < p->name_count; i++) {
        const struct power_name *n = &p->names[i];
        if (n->inode == 0) continue;
        if (!power_has_parent(p, n->path)) continue;
        snprintf(inode, sizeof inode, "%llu", (unsigned long long)n->inode);
        power_path(from, p->side, inode);
        power_path(to, p->root, n->path);
        power_copy(p, from, to, power_file(p, n->inode)->safe, plan);
    }
}

#endif
