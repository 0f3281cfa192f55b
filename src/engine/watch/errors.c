/* errors.c: error replies by their first word. They are rare, so one small table under a lock will do. */
#include "trivet/engine/watch/errors.h"
#include "trivet/base/lock.h"
#include "trivet/engine/watch/stats.h"
#include <string.h>

#define ERROR_KINDS_MAX 128
#define ERROR_CODE_MAX 32
static const char overflow_code[] = "ERRORSTATS_OVERFLOW";

static struct lock errors_lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct error_kind {
    char code[ERROR_CODE_MAX];
    uint64_t count;
} errors[ERROR_KINDS_MAX]; /* in alphabetical order */
static size_t error_kinds;

/* Where the code is, or where to insert it. */
static size_t error_place(const char *code, bool *found) {
    size_t i = 0;
    int order = 1;
    while (i < error_kinds && (order = strcmp(errors[i].code, code)) < 0) i++;
    *found = i < error_kinds && order == 0;
    return i;
}

static void count_error(const char *code) {
    bool found;
    size_t i = error_place(code, &found);
    if (!found && error_kinds >= ERROR_KINDS_MAX - 1) {
        code = overflow_code;
        i = error_place(code, &found);
    }
    if (!found) {
        assert(error_kinds < ERROR_KINDS_MAX && strlen(code) < ERROR_CODE_MAX);
        memmove(&errors[i + 1], &errors[i], (error_kinds - i) * sizeof errors[0]);
        errors[i] = (struct error_kind){ .count = 0 };
        memcpy(errors[i].code, code, strlen(code) + 1);
        error_kinds++;
    }
    errors[i].count++;
}

void stats_error(const char *code) {
    COUNTER_ADD(stats_mine()->error_replies, 1);
    char cut[ERROR_CODE_MAX] = { 0 };
    strncpy(cut, code, sizeof cut - 1);
    lock_take(&errors_lock);
    count_error(cut);
    lock_drop(&errors_lock);
}

void stats_each_error(void (*visit)(void *arg, const char *code, uint64_t count), void *arg) {
    lock_take(&errors_lock);
    for (size_t i = 0; i < error_kinds; i++) visit(arg, errors[i].code, errors[i].count);
    lock_drop(&errors_lock);
}

void errors_reset(void) {
    lock_take(&errors_lock);
    error_kinds = 0;
    lock_drop(&errors_lock);
}
