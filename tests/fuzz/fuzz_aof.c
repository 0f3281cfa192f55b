/* fuzz_aof.c: append-only files, of two kinds by the first byte.
 *
 * Even: the bytes are the file. Whatever it is, cut at the offset that the reader names it must be whole, and
 * run the same commands.
 *
 * Odd: the bytes are values, of which a file with checksum notes is made as the writer makes it; then one bit
 * of it is changed. In a command that must be found, and nothing of its batch may have run. */
#include "persist/aof/aof_private.h"
#include "persist/aof/note.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BATCHES_MAX 32

/* ---- files in memory ---- */

static int fd = -1;
static char path[64];

static void put_file(struct slice bytes) {
    if (fd < 0) fd = memfd_create("aof", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes.ptr, bytes.len, 0) != (ssize_t)bytes.len) abort();
}

/* Each command as it is on the wire. */
static bool note_command(void *arg, const struct slice *argv, size_t argc, struct buf *error) {
    struct buf *ran = arg;
    (void)error;
    buf_printf(ran, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        buf_printf(ran, "$%zu\r\n", argv[i].len);
        buf_append(ran, argv[i]);
        buf_append(ran, LIT("\r\n"));
    }
    return true;
}

/* The stream before a position is a part of the file, and no longer than it. */
static void check_position(void *arg, const struct stream_position *position, struct slice stream) {
    (void)arg;
    bool good = position->known && strlen(position->id) == REPLID_CHARS && position->db >= -1 &&
                position->offset >= 0 && stream.len <= (uint64_t)position->offset;
    if (!good || (stream.len > 0 && stream.ptr[stream.len - 1] != '\n')) abort();
}

static void check_unnoted(void *arg, struct slice commands) {
    (void)arg;
    if (commands.len == 0 || commands.ptr[0] != '*' || commands.ptr[commands.len - 1] != '\n') abort();
}

static enum aof_read_end read_file(struct aof_read *out, struct buf *ran) {
    struct aof_load how = {
        .run = note_command, .position = check_position, .unnoted = check_unnoted, .arg = ran
    };
    enum aof_read_end end = aof_read_file(path, &how, 0, 0, out);
    if ((end == AOF_READ_BAD) != (out->reason.len > 0)) abort();
    buf_release(&out->reason);
    return end;
}

/* ---- any bytes ---- */

static void check_bytes(struct slice bytes) {
    struct buf first = { 0 }, second = { 0 };
    struct aof_read out, again;
    put_file(bytes);
    enum aof_read_end end = read_file(&out, &first);
    if (end != AOF_READ_RDB) {
        if (out.good > bytes.len || (end == AOF_READ_WHOLE) != (out.good == bytes.len)) abort();
        put_file(slice_make(bytes.ptr, (size_t)out.good));
        if (read_file(&again, &second) != AOF_READ_WHOLE) abort();
        if (again.commands != out.commands || !slice_equal(buf_slice(&first), buf_slice(&second))) abort();
    }
    buf_release(&first);
    buf_release(&second);
}

/* ---- a file with sums ---- */

struct batch {
    size_t begin, note, end; /* in the file */
    size_t ran;              /* bytes of all commands before its note */
};

struct made {
    struct buf file, commands, open; /* `open`: the batch that has no note yet */
    struct batch batches[BATCHES_MAX];
    size_t count;
};

static void close_batch(struct made *m) {
    if (m->open.len == 0 || m->count == BATCHES_MAX) return;
    struct batch *b = &m->batches[m->count++];
    b->begin = m->file.len;
    b->note = b->begin + m->open.len;
    buf_append(&m->commands, buf_slice(&m->open));
    b->ran = m->commands.len;
    struct stream_position position = { true, "0123456789abcdef0123456789abcdef01234567",
                                        1000000 + (int64_t)m->file.len, 0 };
    if (m->count % 3 > 0) aof_note_add_position(&m->open, &position, m->count % 3 == 1, m->open.len % 40);
    aof_note_add_sum(&m->open);
    buf_append(&m->file, buf_slice(&m->open));
    b->end = m->file.len;
    buf_clear(&m->open);
}

/* A byte says how long the value is and whether its batch ends with it; then comes the value. */
static void make(struct made *m, const uint8_t *data, size_t size) {
    for (size_t at = 0; at < size && m->count < BATCHES_MAX;) {
        size_t len = data[at] & 0x7f, left = size - at - 1;
        bool ends = data[at++] & 0x80;
        struct slice value = slice_make(data + at, len < left ? len : left);
        at += value.len;
        (void)note_command(&m->open, &value, 1, NULL);
        /* The words of a transaction would not be run. */
        if (slice_equal_nocase(value, LIT("MULTI")) || slice_equal_nocase(value, LIT("EXEC")))
            buf_clear(&m->open);
        if (ends) close_batch(m);
    }
    close_batch(m);
}

static bool is_prefix(const struct buf *ran, const struct buf *all, size_t most) {
    return ran->len <= most && (ran->len == 0 || memcmp(ran->ptr, all->ptr, ran->len) == 0);
}

static void check_flip(const struct made *m, size_t at) {
    struct buf ran = { 0 };
    struct aof_read out;
    size_t k = 0;
    while (m->batches[k].end <= at) k++;
    put_file(buf_slice(&m->file));
    enum aof_read_end end = read_file(&out, &ran);
    bool in_note = at >= m->batches[k].note;
    size_t before = k > 0 ? m->batches[k - 1].ran : 0;
    /* A length in the first batch that swallows all notes of the file leaves nothing to tell. */
    bool hidden = k == 0 && end == AOF_READ_WHOLE;
    if (in_note ? !is_prefix(&ran, &m->commands, m->commands.len)
                : !hidden && (end != AOF_READ_BAD || !is_prefix(&ran, &m->commands, before)))
        abort();
    if (in_note && end != AOF_READ_BAD && ran.len != m->commands.len) abort();
    buf_release(&ran);
}

static void check_made(const uint8_t *data, size_t size) {
    struct made m = { 0 };
    if (size < 4) return;
    make(&m, data + 3, size - 3);
    if (m.file.len > 0) {
        size_t at = (data[0] + 256u * data[1]) % m.file.len;
        m.file.ptr[at] = (char)(m.file.ptr[at] ^ (1 << (data[2] & 7)));
        check_flip(&m, at);
    }
    buf_release(&m.file);
    buf_release(&m.commands);
    buf_release(&m.open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    if (data[0] & 1)
        check_made(data + 1, size - 1);
    else
        check_bytes(slice_make(data + 1, size - 1));
    return 0;
}
