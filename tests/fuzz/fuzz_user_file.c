/* fuzz_user_file.c: an aclfile, by the first byte plain bytes or lines that are built from rules.
 *
 * Users that were read come out and in again the same; what was refused says why and brings no user. */
#include "trivet/engine/access/user_file.h"
#include "users.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int file;
static char path[32];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    users_fuzz_begin();
    file = memfd_create("users", 0);
    if (file < 0) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return 0;
}

static bool read_users(struct slice text, struct user_list *out) {
    struct buf errors = { 0 };
    if (ftruncate(file, 0) != 0 || pwrite(file, text.ptr, text.len, 0) != (ssize_t)text.len) abort();
    bool read = user_file_read(path, out, &errors);
    assert_same(read == (errors.len == 0));
    if (!read) assert_same(out->count == 0);
    buf_release(&errors);
    return read;
}

static void write_users(const struct user_list *list, struct buf *out) {
    for (size_t i = 0; i < list->count; i++) {
        user_describe_line(list->at[i], out);
        buf_append_byte(out, '\n');
    }
}

static void write_line(struct source *s, struct buf *out) {
    static const char *const names[] = { "a", "b", "default", "", "#", "u\"'", "user", "(" };
    buf_append(out, LIT("user "));
    buf_append(out, slice_of(names[next_byte(s) % COUNT_OF(names)]));
    for (int left = next_byte(s) % 8; left > 0 && s->at < s->end; left--) {
        buf_append_byte(out, ' ');
        write_rule(s, out);
    }
    if (next_byte(s) % 16 == 0) buf_append_byte(out, '\r');
    buf_append_byte(out, '\n');
}

static void check_round_trip(const struct user_list *list) {
    struct user_list again = { 0 };
    struct buf first = { 0 }, second = { 0 };
    write_users(list, &first);
    assert_same(read_users(buf_slice(&first), &again));
    write_users(&again, &second);
    assert_same(slice_equal(buf_slice(&first), buf_slice(&second)));
    for (size_t i = 0; i < list->count && i < 4; i++) assert_same_answers(list->at[i], again.at[i]);
    user_list_release(&again);
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct source s = { data + 1, data + size };
    struct user_list list = { 0 };
    struct buf text = { 0 };
    if (data[0] % 4 == 0) buf_append(&text, slice_make((const char *)data + 1, size - 1));
    while (data[0] % 4 && s.at < s.end) write_line(&s, &text);
    if (read_users(buf_slice(&text), &list)) check_round_trip(&list);
    user_list_release(&list);
    buf_release(&text);
    return 0;
}
