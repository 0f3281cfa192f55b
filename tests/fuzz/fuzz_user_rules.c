/* fuzz_user_rules.c: rules of a user, by the first byte plain words or such that are built from rules.
 *
 * A user that was taken, its copy, and the user that its description makes are the same, in words and in what
 * they may do. What was refused says why. */
#include "trivet/base/mem.h"
#include "users.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    users_fuzz_begin();
    return 0;
}

#define WORDS_MAX 64

/* Words with blanks between them; they are as in a file, without quotes. */
static size_t split(struct slice text, struct slice *words) {
    size_t count = 0;
    if (text.len == 0) return 0;
    for (const char *at = text.ptr, *end = text.ptr + text.len; at < end && count < WORDS_MAX;) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        if (!blank) blank = end;
        if (blank > at) words[count++] = slice_between(at, blank);
        at = blank + 1;
    }
    return count;
}

/* NULL if a rule was refused. */
static struct user *make_user(struct slice text) {
    struct slice words[WORDS_MAX];
    struct user *u = user_new(LIT("u"));
    struct buf error = { 0 };
    size_t count = split(text, words);
    bool taken = user_set_rules(u, words, count, "Wrong", &error);
    assert_same(taken == (error.len == 0));
    buf_release(&error);
    if (taken) return u;
    user_free(u);
    return NULL;
}

static void check_round_trip(const struct user *u) {
    struct buf first = { 0 }, second = { 0 };
    struct user *copy = user_copy(u);
    describe(u, &first);
    describe(copy, &second);
    assert_same(slice_equal(buf_slice(&first), buf_slice(&second)));
    assert_same_answers(u, copy);
    user_free(copy);
    size_t name = strlen("user u ");
    struct user *again = make_user(slice_make(first.ptr + name, first.len - name));
    assert_same(again != NULL);
    describe(again, &second);
    assert_same(slice_equal(buf_slice(&first), buf_slice(&second)));
    assert_same_answers(u, again);
    user_free(again);
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct source s = { data + 1, data + size };
    struct buf text = { 0 };
    if (data[0] % 4 == 0) buf_append(&text, slice_make((const char *)data + 1, size - 1));
    for (int i = 0; data[0] % 4 && s.at < s.end && i < WORDS_MAX / 4; i++) {
        write_rule(&s, &text);
        if (next_byte(&s) % 8) buf_append_byte(&text, ' ');
    }
    struct user *u = make_user(buf_slice(&text));
    if (u) {
        check_round_trip(u);
        user_free(u);
    }
    buf_release(&text);
    return 0;
}
