/* The limits of control groups, read from made-up trees of /proc and /sys. */
#include "trivet/base/cgroup.h"
#include "trivet/base/compiler.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/trivet-cgroup-XXXXXX";

static int setup(void **state) {
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *at) {
    (void)facts;
    (void)type;
    return at->level == 0 ? 0 : remove(path);
}

static void clear(void) { assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0); }

static int teardown(void **state) {
    (void)state;
    clear();
    return remove(root);
}

static void write_file(const char *path, const char *text) {
    char whole[512];
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    assert_true(length > 0 && (size_t)length < sizeof whole);
    for (char *slash = whole + sizeof root; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(whole, 0755);
        *slash = '/';
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

/* ---- cases ---- */

struct file {
    const char *path, *text;
};

struct example {
    const char *what;
    struct file files[9];
    int64_t processors;
    uint64_t memory;
};

#define GROUPS "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"
#define V2 "/sys/fs/cgroup"
#define MB ((uint64_t)1024 * 1024)

/* What surrounds the lines that matter. */
#define OTHER_MOUNTS                                          \
    "22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n" \
    "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
#define V2_MOUNT OTHER_MOUNTS "30 22 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                              \
    OTHER_MOUNTS "33 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" \
                 "34 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"           \
                 "35 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define V1_GROUPS "12:cpuset:/other\n5:memory:/a/b\n4:cpu,cpuacct:/a/b\n1:name=systemd:/x\n0::/x\n"
/* As Docker mounts version 1: the container's group itself, while the path is that of the whole machine. */
#define V1_CONTAINER_MOUNTS                                                                             \
    OTHER_MOUNTS "33 30 0:28 /docker/c1 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n" \
                 "35 30 0:30 /docker/c1 /sys/fs/cgroup/memory ro master:5 - cgroup cgroup rw,memory\n"
#define V1_CONTAINER_GROUPS "5:memory:/docker/c1\n4:cpu,cpuacct:/docker/c1\n"

static const struct example examples[] = {
    { "nothing can be read", { { NULL, NULL } }, 0, 0 },
    { "version 2, own namespace",
      { { GROUPS, "0::/\n" },
        { MOUNTS, V2_MOUNT },
        { V2 "/cpu.max", "150000 100000\n" },
        { V2 "/memory.max", "536870912\n" } },
      2, 512 * MB },
    { "version 2, no limits",
      { { GROUPS, "0::/\n" },
        { MOUNTS, V2_MOUNT },
        { V2 "/cpu.max", "max 100000\n" },
        { V2 "/memory.max", "max\n" } },
      0, 0 },
    { "version 2, files are not there", { { GROUPS, "0::/\n" }, { MOUNTS, V2_MOUNT } }, 0, 0 },
    { "version 2, a group in groups: the tightest limit holds, wherever it is",
      { { GROUPS, "0::/pod/box\n" },
        { MOUNTS, V2_MOUNT },
        { V2 "/pod/box/cpu.max", "300000 100000\n" },
        { V2 "/pod/box/memory.max", "1048576000\n" },
        { V2 "/pod/cpu.max", "200000 100000\n" },
        { V2 "/pod/memory.max", "max\n" },
        { V2 "/cpu.max", "400000 100000\n" } },
      2, 1000 * MB },
    { "version 2, only the group above limits",
      { { GROUPS, "0::/pod/box\n" },
        { MOUNTS, V2_MOUNT },
        { V2 "/pod/box/cpu.max", "max 100000\n" },
        { V2 "/pod/memory.max", "1048576\n" } },
      0, MB },
    { "version 2, the group's folder cannot be seen",
      { { GROUPS, "0::/machine/box\n" }, { MOUNTS, V2_MOUNT }, { V2 "/memory.max", "1048576\n" } },
      0, MB },
    { "version 2, the mount is a group of its own",
      { { GROUPS, "0::/machine/box/inner\n" },
        { MOUNTS, "30 22 0:26 /machine/box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" },
        { V2 "/memory.max", "2097152\n" },
        { V2 "/inner/memory.max", "1048576\n" },
        { V2 "/inner/cpu.max", "50000 100000\n" } },
      1, MB },
    { "version 2, the mount is another group, whose name begins alike",
      { { GROUPS, "0::/machine/box\n" },
        { MOUNTS, "30 22 0:26 /machine/bo /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" },
        { V2 "/memory.max", "2097152\n" },
        { V2 "/x/memory.max", "1048576\n" } },
      0, 2 * MB },
    { "version 2, the group is above the namespace's root",
      { { GROUPS, "0::/../box\n" },
        { MOUNTS, V2_MOUNT },
        { V2 "/memory.max", "2097152\n" },
        { "/sys/fs/box/memory.max", "1048576\n" } },
      0, 2 * MB },
    { "version 2, mounted elsewhere, at a path with a blank",
      { { GROUPS, "0::/a b\n" },
        { MOUNTS, "30 22 0:26 / /mnt/c\\040g rw - cgroup2 none rw\n" },
        { "/mnt/c g/a b/memory.max", "1048576\n" },
        { V2 "/memory.max", "524288\n" } },
      0, MB },
    { "no mount is known: the usual place",
      { { GROUPS, "0::/a\n" }, { V2 "/cpu.max", "100000 100000\n" }, { V2 "/memory.max", "1048576\n" } },
      1, MB },
    { "no group is known, so no limit either",
      { { MOUNTS, V2_MOUNT }, { V2 "/cpu.max", "100000 100000\n" }, { V2 "/memory.max", "1048576\n" } },
      0, 0 },
    { "version 1",
      { { GROUPS, V1_GROUPS },
        { MOUNTS, V1_MOUNTS },
        { V2 "/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000\n" },
        { V2 "/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n" },
        { V2 "/memory/a/b/memory.limit_in_bytes", "1048576\n" } },
      3, MB },
    { "version 1, limits above the group",
      { { GROUPS, V1_GROUPS },
        { MOUNTS, V1_MOUNTS },
        { V2 "/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n" },
        { V2 "/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n" },
        { V2 "/cpu,cpuacct/a/cpu.cfs_quota_us", "20000\n" },
        { V2 "/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n" },
        { V2 "/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n" },
        { V2 "/memory/memory.limit_in_bytes", "3145728\n" } },
      1, 3 * MB },
    { "version 1, limits of another controller's group",
      { { GROUPS, V1_GROUPS },
        { MOUNTS, V1_MOUNTS },
        { V2 "/cpuset/other/cpu.cfs_quota_us", "100000\n" },
        { V2 "/cpuset/other/cpu.cfs_period_us", "100000\n" },
        { V2 "/memory/x/memory.limit_in_bytes", "1048576\n" } },
      0, 0 },
    { "version 1 in a container of Docker",
      { { GROUPS, V1_CONTAINER_GROUPS },
        { MOUNTS, V1_CONTAINER_MOUNTS },
        { V2 "/cpu,cpuacct/cpu.cfs_quota_us", "400000\n" },
        { V2 "/cpu,cpuacct/cpu.cfs_period_us", "100000\n" },
        { V2 "/memory/memory.limit_in_bytes", "1048576\n" } },
      4, MB },
    { "version 1 without known mounts",
      { { GROUPS, V1_CONTAINER_GROUPS },
        { V2 "/cpu/cpu.cfs_quota_us", "100000\n" },
        { V2 "/cpu/cpu.cfs_period_us", "100000\n" },
        { V2 "/memory/memory.limit_in_bytes", "1048576\n" } },
      1, MB },
    { "both versions: memory by the one, processors by the other",
      { { GROUPS, "4:cpu:/a\n0::/b\n" },
        { MOUNTS, "33 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                  "30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" },
        { V2 "/cpu/a/cpu.cfs_quota_us", "100000\n" },
        { V2 "/cpu/a/cpu.cfs_period_us", "100000\n" },
        { V2 "/unified/b/memory.max", "1048576\n" } },
      1, MB },
    { "numbers without a line end", /* and big ones */
      { { GROUPS, "0::/" },
        { MOUNTS, V2_MOUNT },
        { V2 "/cpu.max", "9223372036854775807 1" },
        { V2 "/memory.max", "4611686018427387903" } },
      INT64_MAX, ((uint64_t)1 << 62) - 1 },
};

/* Contents that no kernel writes: none of them limits anything. */
static const char *const nonsense_quotas[] = { "",
                                               "\n",
                                               "100000",
                                               "100000 \n",
                                               " 100000 100000\n",
                                               "0 100000\n",
                                               "-5 7",
                                               "100000 0\n",
                                               "100000 -1\n",
                                               "ten ten\n",
                                               "1e5 1e5\n",
                                               "100000  100000\n",
                                               "18446744073709551615 100000\n",
                                               "max max\n" };
static const char *const nonsense_sizes[] = { "",
                                              "\n",
                                              "0\n",
                                              "-1\n",
                                              "512M\n",
                                              "max max\n",
                                              " 5\n",
                                              "5 \n",
                                              "18446744073709551616\n",
                                              "18446744073709551615\n",
                                              "9223372036854771712\n",
                                              "4611686018427387904\n" };
static const char *const nonsense_groups[] = { "",   "\n\n",   ":",       "::",  "0",
                                               "0:", "1::/\n", "0:x:/\n", "a:b", "0;;/\n" };
static const char *const nonsense_mounts[] = { "\n",
                                               "- - - - - - - -\n",
                                               "30\n",
                                               "30 22 0:26 / /mnt rw cgroup2 cgroup2 rw\n",
                                               "30 22 0:26 / /mnt - cgroup cgroup rw\n",
                                               " - cgroup2\n" };

static void expect(const char *what, int64_t processors, uint64_t memory) {
    struct cgroup_limits limits = cgroup_limits(root);
    if (limits.processors != processors || limits.memory != memory)
        fail_msg("%s: %lld processors and %llu bytes instead of %lld and %llu", what,
                 (long long)limits.processors, (unsigned long long)limits.memory, (long long)processors,
                 (unsigned long long)memory);
}

static void limits_are_the_tightest_of_the_groups(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        clear();
        for (const struct file *f = examples[i].files; f->path; f++) write_file(f->path, f->text);
        expect(examples[i].what, examples[i].processors, examples[i].memory);
    }
}

/* `path` has this text, where all else is as it should be. */
static void expect_with(const char *path, const char *text, int64_t processors, uint64_t memory) {
    clear();
    write_file(GROUPS, "0::/\n");
    write_file(MOUNTS, V2_MOUNT);
    write_file(V2 "/cpu.max", "100000 100000\n");
    write_file(V2 "/memory.max", "1048576\n");
    write_file(path, text);
    expect(text, processors, memory);
}

static void nonsense_limits_nothing(void **state) {
    (void)state;
    expect_with("/other", "", 1, MB);
    for (size_t i = 0; i < COUNT_OF(nonsense_quotas); i++)
        expect_with(V2 "/cpu.max", nonsense_quotas[i], 0, MB);
    for (size_t i = 0; i < COUNT_OF(nonsense_sizes); i++)
        expect_with(V2 "/memory.max", nonsense_sizes[i], 1, 0);
    for (size_t i = 0; i < COUNT_OF(nonsense_groups); i++) expect_with(GROUPS, nonsense_groups[i], 0, 0);
    /* Then the usual place counts. */
    for (size_t i = 0; i < COUNT_OF(nonsense_mounts); i++) expect_with(MOUNTS, nonsense_mounts[i], 1, MB);
}

static void nonsense_period_limits_nothing(void **state) {
    (void)state;
    static const char *const periods[] = { "", "0\n", "-1\n", "x\n", "100000 5\n" };
    for (size_t i = 0; i < COUNT_OF(periods); i++) {
        clear();
        write_file(GROUPS, V1_GROUPS);
        write_file(MOUNTS, V1_MOUNTS);
        write_file(V2 "/cpu,cpuacct/a/b/cpu.cfs_quota_us", "100000\n");
        write_file(V2 "/cpu,cpuacct/a/b/cpu.cfs_period_us", periods[i]);
        expect(periods[i], 0, 0);
    }
}

/* A file that is too long, and a folder in the place of one. */
static void what_cannot_be_read_limits_nothing(void **state) {
    (void)state;
    clear();
    write_file(GROUPS, "0::/\n");
    write_file(V2 "/memory.max/file", "1048576\n");
    write_file(V2 "/cpu.max", "100000 100000\n");
    expect("a folder", 1, 0);
    char *text = malloc((2 << 20) + 1);
    assert_non_null(text);
    memset(text, '\n', 2 << 20);
    text[2 << 20] = '\0';
    memcpy(text, "0::/\n", 5);
    write_file(GROUPS, text);
    free(text);
    expect("2 MB", 0, 0);
}

static void this_machine_has_sensible_limits(void **state) {
    (void)state;
    struct cgroup_limits limits = cgroup_limits("");
    assert_true(limits.processors >= 0);
    assert_true(limits.memory < (uint64_t)1 << 62);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_tightest_of_the_groups),
        cmocka_unit_test(nonsense_limits_nothing),
        cmocka_unit_test(nonsense_period_limits_nothing),
        cmocka_unit_test(what_cannot_be_read_limits_nothing),
        cmocka_unit_test(this_machine_has_sensible_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
