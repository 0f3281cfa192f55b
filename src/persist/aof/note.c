/* note.c: annotation lines, out and in; see note.h for their form. They are read strictly: a sum line that
 * differs in any way from what aof_note_add_sum() writes is damaged. */
#include "note.h"
#include "aof_private.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/number.h"
#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

#define SUM_DIGITS 16
#define TIME_PREFIX "#TS:"

static atomic_bool timestamps, checksums = true;
static int64_t stamped_s; /* under the file's lock: the last second that was noted */

uint64_t aof_sum(struct slice bytes) { return XXH3_64bits(bytes.ptr, bytes.len); }

void aof_note_add_sum(struct buf *batch) {
    assert(batch->len > 0);
    size_t len = batch->len;
    buf_printf(batch, NOTE_SUM_PREFIX "%zu:%016" PRIx64 "\r\n", len, aof_sum(buf_slice(batch)));
    assert(batch->len - len <= NOTE_SUM_MAX);
}

void aof_note_add_time(struct buf *batch, int64_t seconds) {
    struct buf line = { 0 };
    buf_printf(&line, TIME_PREFIX "%" PRId64 "\r\n", seconds);
    buf_reserve(batch, line.len);
    memmove(batch->ptr + line.len, batch->ptr, batch->len);
    memcpy(batch->ptr, line.ptr, line.len);
    batch->len += line.len;
    buf_release(&line);
}

void aof_set_timestamps(bool on) { atomic_store(&timestamps, on); }

void aof_note_stamp(struct buf *batch, bool first_of_file) {
    if (!atomic_load_explicit(&timestamps, memory_order_relaxed)) return;
    int64_t now_s = clock_wall_ms() / 1000;
    if (now_s < stamped_s) now_s = stamped_s; /* a clock that was set back: times only rise */
    if (now_s == stamped_s && !first_of_file) return;
    aof_note_add_time(batch, now_s);
    stamped_s = now_s;
}

void aof_set_checksums(bool on) { atomic_store(&checksums, on); }

bool aof_notes_have_sums(void) { return atomic_load_explicit(&checksums, memory_order_relaxed); }

/* Lower case only, and all of them. */
static bool read_digits(struct slice text, uint64_t *out) {
    static const char digits[] = "0123456789abcdef";
    uint64_t n = 0;
    if (text.len != SUM_DIGITS) return false;
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        const char *digit = memchr(digits, text.ptr[i], sizeof digits - 1);
        if (!digit) return false;
        n = n << 4 | (uint64_t)(digit - digits);
    }
    *out = n;
    return true;
}

static bool read_sum(struct slice text, struct aof_note *out) {
    const char *colon = memchr(text.ptr, ':', text.len);
    if (!colon) return false;
    return uint64_parse(slice_between(text.ptr, colon), &out->bytes) && out->bytes > 0 &&
           read_digits(slice_between(colon + 1, text.ptr + text.len), &out->sum);
}

struct aof_note aof_note_read(struct slice line) {
    struct aof_note note = { .kind = NOTE_OTHER };
    bool is_sum = slice_starts_with(line, LIT(NOTE_SUM_PREFIX));
    if (!is_sum && !slice_starts_with(line, LIT(TIME_PREFIX))) return note;
    size_t prefix = is_sum ? sizeof NOTE_SUM_PREFIX - 1 : sizeof TIME_PREFIX - 1;
    note.kind = NOTE_BROKEN;
    if (line.len < prefix + 2 || memcmp(line.ptr + line.len - 2, "\r\n", 2) != 0) return note;
    struct slice text = slice_make(line.ptr + prefix, line.len - prefix - 2);
    if (is_sum ? read_sum(text, &note) : int64_parse(text, &note.seconds))
        note.kind = is_sum ? NOTE_SUM : NOTE_TIME;
    return note;
}
