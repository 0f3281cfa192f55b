/* note.c: annotation lines, out and in; see note.h for their form. They are read strictly: a sum line that
 * differs in any way from what aof_note_add_sum() writes is damaged. A position that cannot be read is no
 * damage, because without one a replica only has to get all data. */
#include "note.h"
#include "aof_private.h"
#include "trivet/base/clock.h"
#include "trivet/base/hashing.h"
#include "trivet/base/number.h"
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdatomic.h>

#define SUM_DIGITS 16
#define TIME_PREFIX "#TS:"
#define POSITION_PREFIX "#POS:"

static atomic_bool timestamps, checksums = true, positions = true;
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

void aof_note_add_position(struct buf *batch, const struct stream_position *position, bool with_id,
                           size_t in_stream) {
    assert(position->known);
    buf_printf(batch, POSITION_PREFIX "%s:%" PRId64 ":%" PRId64 ":%zu\r\n", with_id ? position->id : "",
               position->offset, position->db, in_stream);
}

void aof_set_positions(bool on) { atomic_store(&positions, on); }

bool aof_notes_have_positions(void) { return atomic_load_explicit(&positions, memory_order_relaxed); }

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

/* Takes the text up to the next colon, or its end, off its front. */
static struct slice next_field(struct slice *text) {
    const char *end = text->ptr + text->len, *colon = memchr(text->ptr, ':', text->len);
    struct slice field = slice_between(text->ptr, colon ? colon : end);
    *text = slice_between(colon ? colon + 1 : end, end);
    return field;
}

static bool read_id(struct slice text, char id[REPLID_CHARS + 1]) {
    if (text.len != 0 && text.len != REPLID_CHARS) return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isxdigit((unsigned char)text.ptr[i])) return false;
    memcpy(id, text.ptr, text.len);
    id[text.len] = '\0';
    return true;
}

static bool read_position(struct slice line, struct aof_note *out) {
    size_t prefix = sizeof POSITION_PREFIX - 1;
    struct stream_position *p = &out->position;
    if (line.len < prefix + 2 || memcmp(line.ptr + line.len - 2, "\r\n", 2) != 0) return false;
    struct slice text = slice_make(line.ptr + prefix, line.len - prefix - 2);
    p->known = read_id(next_field(&text), p->id) && int64_parse(next_field(&text), &p->offset) &&
               int64_parse(next_field(&text), &p->db) && uint64_parse(next_field(&text), &out->bytes) &&
               text.len == 0;
    return p->known && p->offset >= 0 && p->db >= -1 && p->db <= INT32_MAX &&
           out->bytes <= (uint64_t)p->offset;
}

struct aof_note aof_note_read(struct slice line) {
    struct aof_note note = { .kind = NOTE_OTHER };
    if (slice_starts_with(line, LIT(POSITION_PREFIX)) && read_position(line, &note))
        note.kind = NOTE_POSITION;
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
