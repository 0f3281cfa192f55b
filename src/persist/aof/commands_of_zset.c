/* commands_of_zset.c: sorted sets as commands; see commands_of_types.h. */
#include "commands_of_types.h"
#include "trivet/base/number.h"
#include "trivet/types/zset.h"

#define PAIRS_AT_ONCE 64 /* in one ZADD */

void rebuild_zset(aof_emit *emit, void *arg, const struct entry *entry) {
    struct slice argv[2 + 2 * PAIRS_AT_ONCE] = { LIT_INIT("ZADD"), entry_key(entry) };
    char scores[PAIRS_AT_ONCE][DOUBLE_TEXT_MAX], numbers[PAIRS_AT_ONCE][INT64_TEXT_MAX];
    size_t pairs = 0;
    struct zset_walk w;
    zset_walk_all(&w, entry_value(entry));
    while (zset_walk_next(&w)) {
        struct slice member = w.member;
        if (member.ptr == w.scratch) member.ptr = memcpy(numbers[pairs], w.scratch, member.len);
        argv[2 + 2 * pairs] = slice_make(scores[pairs], double_format(scores[pairs], w.score));
        argv[3 + 2 * pairs] = member;
        if (++pairs < PAIRS_AT_ONCE && w.left > 0) continue;
        emit(arg, argv, 2 + 2 * pairs);
        pairs = 0;
    }
}
