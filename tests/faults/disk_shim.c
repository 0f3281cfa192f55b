/* disk_shim.c: preloaded into the server; see disk.h. Each wrapper asks whether this call is to fail, else
 * makes it and notes it for a power cut. A sync does not wait for the real disk: tests end processes, not
 * machines, and for a cut that is played the line in the log is what counts. */
#include "disk.h"
#include "disk_log.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

static struct disk_control *control;
static struct disk_log disk = { .fd = -1 };

static int (*real_open)(const char *path, int flags, ...);
static ssize_t (*real_write)(int fd, const void *bytes, size_t len);
static int (*real_fdatasync)(int fd);
static int (*real_fsync)(int fd);
static int (*real_ftruncate)(int fd, off_t length);
static int (*real_rename)(const char *from, const char *to);
static int (*real_unlink)(const char *path);
static int (*real_mkdir)(const char *path, mode_t mode);
static int (*real_pthread_create)(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                                  void *arg);

static void find(void *pointer, const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol) abort();
    memcpy(pointer, &symbol, sizeof symbol);
}

__attribute__((constructor)) static void begin(void) {
    find(&real_open, "open");
    find(&real_write, "write");
    find(&real_fdatasync, "fdatasync");
    find(&real_fsync, "fsync");
    find(&real_ftruncate, "ftruncate");
    find(&real_rename, "rename");
    find(&real_unlink, "unlink");
    find(&real_mkdir, "mkdir");
    find(&real_pthread_create, "pthread_create");
    const char *path = getenv(DISK_CONTROL_NAME);
    int fd = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    struct disk_control *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) abort();
    close(fd);
    if (shared->side[0]) disk_log_open(&disk, shared->root, shared->side);
    control = shared;
}

/* ---- which calls concern us ---- */

static bool is_inside(const char *path) {
    return control && path && strncmp(path, control->root, strlen(control->root)) == 0;
}

static bool path_of_fd(int fd, char *path, size_t room) {
    char link_name[64];
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link_name, path, room - 1);
    if (len < 0) return false;
    path[len] = '\0';
    return is_inside(path);
}

/* True (errno) if this call is to fail. */
static bool goes_wrong(enum disk_call sort, const char *path) {
    if (!(atomic_load(&control->sorts) & (int)sort)) return false;
    if (control->match[0] && !strstr(path, control->match)) return false;
    atomic_fetch_add(&control->seen, 1);
    if (atomic_load(&control->skip) > 0 && atomic_fetch_sub(&control->skip, 1) > 0) return false;
    int left = atomic_load(&control->count);
    while (left > 0 && !atomic_compare_exchange_weak(&control->count, &left, left - 1)) continue;
    if (left == 0) return false;
    atomic_fetch_add(&control->failed, 1);
    errno = atomic_load(&control->error);
    return true;
}

static bool fails(enum disk_call sort, const char *path) { return is_inside(path) && goes_wrong(sort, path); }

/* Sockets and pipes are written to far more often than files: they cost one look. */
static bool fails_fd(enum disk_call sort, int fd) {
    char path[PATH_MAX];
    if (!control || !(atomic_load_explicit(&control->sorts, memory_order_relaxed) & (int)sort)) return false;
    return path_of_fd(fd, path, sizeof path) && goes_wrong(sort, path);
}

/* ---- the calls ---- */

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (!is_inside(path)) return real_open(path, flags, mode);
    if (goes_wrong(DISK_OPEN, path)) return -1;
    bool is_new = disk_log_is_new(path);
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY) disk_log_opened(&disk, path, fd, is_new, flags & O_TRUNC);
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    if (!fails_fd(DISK_WRITE, fd)) return real_write(fd, bytes, len);
    int error = errno;
    if (atomic_load(&control->half) && real_write(fd, bytes, len / 2) < 0) error = errno;
    errno = error;
    return -1;
}

static int sync_with(int (*real)(int fd), int fd) {
    if (!control) return real(fd);
    unsigned long long size = disk_log_size(fd);
    if (fails_fd(DISK_SYNC, fd)) return -1;
    disk_log_synced(&disk, fd, size);
    return 0;
}

int fdatasync(int fd) { return sync_with(real_fdatasync, fd); }
int fsync(int fd) { return sync_with(real_fsync, fd); }

int ftruncate(int fd, off_t length) {
    if (fails_fd(DISK_TRUNCATE, fd)) return -1;
    int result = real_ftruncate(fd, length);
    if (result == 0) disk_log_cut(&disk, fd, length);
    return result;
}

int rename(const char *from, const char *to) {
    if (fails(DISK_RENAME, to)) return -1;
    int result = real_rename(from, to);
    if (result == 0) disk_log_renamed(&disk, from, to);
    return result;
}

int unlink(const char *path) {
    if (fails(DISK_UNLINK, path)) return -1;
    int result = real_unlink(path);
    if (result == 0) disk_log_removed(&disk, path);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (fails(DISK_MKDIR, path)) return -1;
    int result = real_mkdir(path, mode);
    if (result == 0) disk_log_made(&disk, path);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *arg) {
    if (control && goes_wrong(DISK_THREAD, "")) return errno;
    return real_pthread_create(thread, how, run, arg);
}
