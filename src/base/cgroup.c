/* cgroup.c: see cgroup.h.
 *
 * /proc/self/cgroup names the process's group in each hierarchy: version 2 has one hierarchy, version 1 one
 * for each controller. /proc/self/mountinfo says where a hierarchy is mounted, and which group is the mount's
 * own folder: in a container that may be the container's group while the first file names the whole path, or
 * "/" in both. What is left of the path is walked upwards, to the mount itself. */
#include "trivet/base/cgroup.h"

#include "trivet/base/buf.h"
#include "trivet/base/file.h"
#include "trivet/base/number.h"
#include <fcntl.h>
#include <unistd.h>

#define TEXT_MOST ((size_t)1 << 20)          /* of a file; more is none that is meant here */
#define MEMORY_UNLIMITED ((uint64_t)1 << 62) /* version 1 says so by the biggest number of whole pages */

struct hierarchy {
    struct slice controller; /* of version 1; empty for version 2 */
    struct slice path;       /* the process's group */
    struct slice mount, top; /* where it is mounted, and the group that is mounted there */
};

/* ---- texts ---- */

/* Appends the file's text; nothing if it cannot be read. */
static void read_text(const char *root, const char *path, struct buf *out) {
    struct buf whole = { 0 };
    buf_printf(&whole, "%s%s", root, path);
    int fd = open(buf_cstr(&whole), O_RDONLY | O_CLOEXEC);
    buf_release(&whole);
    if (fd < 0) return;
    if (!file_read_all(fd, TEXT_MOST, out)) buf_clear(out);
    close(fd);
}

/* The part before the next separator, which is dropped with it. Empty at the end. */
static struct slice take_part(struct slice *rest, char separator) {
    if (rest->len == 0) return LIT("");
    const char *end = memchr(rest->ptr, separator, rest->len);
    if (!end) end = rest->ptr + rest->len;
    struct slice part = slice_between(rest->ptr, end);
    *rest = slice_from(*rest, part.len + 1);
    return part;
}

static bool has_part(struct slice list, char separator, struct slice wanted) {
    while (list.len > 0)
        if (slice_equal(take_part(&list, separator), wanted)) return true;
    return false;
}

static int octal_digit(char c) { return c >= '0' && c <= '7' ? c - '0' : -1; }

/* Appends a path of mountinfo, in which blanks and the like are "\040". */
static void append_unescaped(struct slice text, struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        int byte = -1;
        if (text.ptr[i] == '\\' && i + 3 < text.len) {
            int a = octal_digit(text.ptr[i + 1]), b = octal_digit(text.ptr[i + 2]),
                c = octal_digit(text.ptr[i + 3]);
            if (a >= 0 && b >= 0 && c >= 0) byte = a * 64 + b * 8 + c;
        }
        buf_append_byte(out, byte >= 0 ? (char)byte : text.ptr[i]);
        if (byte >= 0) i += 3;
    }
}

/* ---- where the groups are ---- */

/* Lines "number:controllers:path"; version 2 has the number 0 and no controllers. */
static bool find_path(struct hierarchy *h, struct slice groups) {
    while (groups.len > 0) {
        struct slice line = take_part(&groups, '\n');
        struct slice number = take_part(&line, ':'), controllers = take_part(&line, ':');
        bool is_it = h->controller.len > 0 ? has_part(controllers, ',', h->controller)
                                           : controllers.len == 0 && slice_equal(number, LIT("0"));
        if (!is_it || !slice_starts_with(line, LIT("/"))) continue;
        h->path = line;
        return true;
    }
    return false;
}

/* Lines "id parent device top mount options ... - type source options". */
static bool find_mount(struct hierarchy *h, struct slice mounts) {
    while (mounts.len > 0) {
        struct slice line = take_part(&mounts, '\n');
        for (int i = 0; i < 3; i++) take_part(&line, ' ');
        struct slice top = take_part(&line, ' '), mount = take_part(&line, ' ');
        while (line.len > 0 && !slice_equal(take_part(&line, ' '), LIT("-"))) continue;
        struct slice type = take_part(&line, ' ');
        take_part(&line, ' ');
        bool is_it = h->controller.len > 0
                         ? slice_equal(type, LIT("cgroup")) && has_part(line, ',', h->controller)
                         : slice_equal(type, LIT("cgroup2"));
        if (!is_it) continue;
        h->top = top;
        h->mount = mount;
        return true;
    }
    return false;
}

/* What leads from the mount to the process's group: "" or "/a/b". A path that is not below the mount's group,
 * or that leads up, belongs to a part of the tree that is not mounted here. */
static struct slice path_below_mount(const struct hierarchy *h) {
    struct slice top = slice_equal(h->top, LIT("/")) ? LIT("") : h->top, below = slice_from(h->path, top.len);
    bool is_below = slice_starts_with(h->path, top) && below.len > 1 && below.ptr[0] == '/';
    return is_below && !has_part(below, '/', LIT("..")) ? below : LIT("");
}

/* Appends the path of the group's folder and gives the length of that of the mount. Where no such mount is
 * known the usual places are tried. */
static size_t append_folder(const struct hierarchy *h, bool is_mounted, struct buf *out) {
    if (is_mounted) {
        append_unescaped(h->mount, out);
        size_t mount = out->len;
        buf_append(out, path_below_mount(h));
        return mount;
    }
    buf_printf(out, "/sys/fs/cgroup%s%.*s", h->controller.len > 0 ? "/" : "", SLICE_ARG(h->controller));
    return out->len;
}

/* ---- limits ---- */

static void limit_processors(struct cgroup_limits *limits, struct slice quota, struct slice period) {
    int64_t share, whole;
    if (!int64_parse(quota, &share) || !int64_parse(period, &whole) || share <= 0 || whole <= 0) return;
    int64_t processors = share / whole + (share % whole != 0);
    if (limits->processors == 0 || processors < limits->processors) limits->processors = processors;
}

static void limit_memory(struct cgroup_limits *limits, struct slice text) {
    uint64_t bytes;
    if (!uint64_parse(text, &bytes) || bytes == 0 || bytes >= MEMORY_UNLIMITED) return;
    if (limits->memory == 0 || bytes < limits->memory) limits->memory = bytes;
}

/* The first line of a file of the group. Valid until the next change of `text`. */
static struct slice read_line(const char *root, struct slice folder, const char *name, struct buf *text) {
    struct buf path = { 0 };
    buf_printf(&path, "%.*s/%s", SLICE_ARG(folder), name);
    buf_clear(text);
    read_text(root, buf_cstr(&path), text);
    buf_release(&path);
    struct slice rest = buf_slice(text);
    return take_part(&rest, '\n');
}

static void limit_by_group(struct cgroup_limits *limits, const char *root, struct slice folder) {
    struct buf first = { 0 }, second = { 0 };
    struct slice line = read_line(root, folder, "cpu.max", &first), quota = take_part(&line, ' ');
    limit_processors(limits, quota, line);
    quota = read_line(root, folder, "cpu.cfs_quota_us", &first);
    limit_processors(limits, quota, read_line(root, folder, "cpu.cfs_period_us", &second));
    limit_memory(limits, read_line(root, folder, "memory.max", &first));
    limit_memory(limits, read_line(root, folder, "memory.limit_in_bytes", &first));
    buf_release(&first);
    buf_release(&second);
}

/* A file that is there in version 1 is not in version 2, so the same names are tried in all folders. */
static void limit_by_hierarchy(struct cgroup_limits *limits, const char *root, struct slice controller,
                               struct slice groups, struct slice mounts) {
    struct hierarchy h = { .controller = controller };
    if (!find_path(&h, groups)) return;
    struct buf folder = { 0 };
    size_t mount = append_folder(&h, find_mount(&h, mounts), &folder);
    while (folder.len > mount) {
        limit_by_group(limits, root, buf_slice(&folder));
        while (folder.len > mount && folder.ptr[folder.len - 1] != '/') folder.len--;
        if (folder.len > mount) folder.len--;
    }
    limit_by_group(limits, root, buf_slice(&folder));
    buf_release(&folder);
}

struct cgroup_limits cgroup_limits(const char *root) {
    struct cgroup_limits limits = { 0 };
    struct buf groups = { 0 }, mounts = { 0 };
    read_text(root, "/proc/self/cgroup", &groups);
    read_text(root, "/proc/self/mountinfo", &mounts);
    static const struct slice controllers[] = { LIT_INIT(""), LIT_INIT("cpu"), LIT_INIT("memory") };
    for (size_t i = 0; i < COUNT_OF(controllers); i++)
        limit_by_hierarchy(&limits, root, controllers[i], buf_slice(&groups), buf_slice(&mounts));
    buf_release(&groups);
    buf_release(&mounts);
    return limits;
}
