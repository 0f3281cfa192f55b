/* hyperloglog.c: see hyperloglog.h. */
#include "trivet/types/hyperloglog.h"
#include "trivet/types/value.h"
#include <math.h>

enum { INDEX_BITS = 14, HASH_BITS = 64 - INDEX_BITS, VALUE_MAX = HASH_BITS + 1, SPARSE_VALUE_MAX = 32 };
enum { FORM_DENSE, FORM_SPARSE, FORM_AT = 4, CACHE_AT = 8, STALE_AT = 15 };
enum { ZEROS_MAX = 64, LONG_ZEROS_MAX = HLL_REGISTERS, RUN_MAX = 4 };
#define HASH_SEED 0xadc83b19u

/* ---- hashing: MurmurHash64A (Austin Appleby, public domain) ---- */

static uint64_t little_endian(const char *p, size_t len) {
    uint64_t n = 0;
    for (size_t i = len; i > 0; i--) n = n << 8 | (unsigned char)p[i - 1];
    return n;
}

static uint64_t murmur(struct slice s) {
    static const uint64_t m = 0xc6a4a7935bd1e995;
    uint64_t h = HASH_SEED ^ (s.len * m);
    const char *p = s.ptr;
    for (size_t left = s.len / 8; left > 0; left--, p += 8) {
        uint64_t k = little_endian(p, 8) * m;
        h = (h ^ ((k ^ k >> 47) * m)) * m;
    }
    if (s.len % 8) h = (h ^ little_endian(p, s.len % 8)) * m;
    h = (h ^ h >> 47) * m;
    return h ^ h >> 47;
}

/* Which register an element belongs to, and what it would raise it to: the place of its lowest bit. */
struct vote {
    unsigned index, value;
};

static struct vote vote_of(struct slice element) {
    uint64_t hash = murmur(element);
    uint64_t rest = hash >> INDEX_BITS | 1ULL << HASH_BITS;
    return (struct vote){ (unsigned)(hash & (HLL_REGISTERS - 1)), (unsigned)__builtin_ctzll(rest) + 1 };
}

/* ---- the header ---- */

bool hll_is_one(struct slice bytes) {
    if (bytes.len < HLL_HEADER || memcmp(bytes.ptr, "HYLL", 4) != 0) return false;
    unsigned char form = (unsigned char)bytes.ptr[FORM_AT];
    return form == FORM_SPARSE || (form == FORM_DENSE && bytes.len == HLL_DENSE_BYTES);
}

bool hll_cached_count(struct slice bytes, uint64_t *count) {
    if (bytes.ptr[STALE_AT] & 0x80) return false;
    *count = little_endian(bytes.ptr + CACHE_AT, 8);
    return true;
}

void hll_cache_count(char *bytes, uint64_t count) {
    for (int i = 0; i < 8; i++) bytes[CACHE_AT + i] = (char)(count >> 8 * i & 0xff);
}

void hll_forget_count(char *bytes) { bytes[STALE_AT] = (char)(bytes[STALE_AT] | 0x80); }

void hll_append_empty(struct buf *out) {
    static const char empty[HLL_HEADER + 2] = { 'H', 'Y', 'L', 'L', FORM_SPARSE, [16] = 0x7f, (char)0xff };
    buf_append(out, slice_make(empty, sizeof empty));
}

/* ---- dense ---- */

static unsigned dense_get(const uint8_t *registers, unsigned index) {
    unsigned byte = index * 6 / 8, shift = index * 6 % 8;
    unsigned bits = (unsigned)registers[byte] >> shift;
    if (shift > 2) bits |= (unsigned)registers[byte + 1] << (8 - shift);
    return bits & 63;
}

static void dense_set(uint8_t *registers, unsigned index, unsigned value) {
    unsigned byte = index * 6 / 8, shift = index * 6 % 8;
    registers[byte] = (uint8_t)((registers[byte] & ~(63u << shift)) | value << shift);
    if (shift <= 2) return;
    unsigned up = 8 - shift;
    registers[byte + 1] = (uint8_t)((registers[byte + 1] & ~(63u >> up)) | value >> up);
}

static enum hll_outcome dense_raise(char *bytes, struct vote v) {
    uint8_t *registers = (uint8_t *)bytes + HLL_HEADER;
    if (dense_get(registers, v.index) >= v.value) return HLL_SAME;
    dense_set(registers, v.index, v.value);
    hll_forget_count(bytes);
    return HLL_CHANGED;
}

enum hll_outcome hll_add_dense(char *bytes, struct slice element) {
    return dense_raise(bytes, vote_of(element));
}

/* Four registers are three bytes. */
static void unpack(const uint8_t *three, uint8_t four[4]) {
    unsigned bits = (unsigned)three[0] | (unsigned)three[1] << 8 | (unsigned)three[2] << 16;
    for (int i = 0; i < 4; i++) four[i] = (uint8_t)(bits >> 6 * i & 63);
}

/* ---- sparse: runs ---- */

struct run {
    unsigned value; /* 0: zeros */
    unsigned length;
    unsigned bytes; /* 2 for the long form of zeros */
};

/* The run at `at`, of which `left` bytes are there; false if it is cut off. */
static bool read_run(const uint8_t *at, size_t left, struct run *out) {
    if (left == 0) return false;
    unsigned first = at[0];
    if (first & 0x80) {
        *out = (struct run){ (first >> 2 & 31) + 1, (first & 3) + 1, 1 };
    } else if (!(first & 0x40)) {
        *out = (struct run){ 0, first + 1, 1 };
    } else {
        if (left < 2) return false;
        *out = (struct run){ 0, ((first & 63) << 8 | at[1]) + 1, 2 };
    }
    return true;
}

static uint8_t *write_zeros(uint8_t *at, unsigned length) {
    if (length == 0) return at;
    if (length > ZEROS_MAX) *at++ = (uint8_t)(0x40 | (length - 1) >> 8);
    *at++ = (uint8_t)(length - 1);
    return at;
}

static uint8_t *write_values(uint8_t *at, unsigned value, unsigned length) {
    if (length > 0) *at++ = (uint8_t)(0x80 | (value - 1) << 2 | (length - 1));
    return at;
}

bool hll_each_run(struct slice bytes, void (*visit)(void *arg, unsigned value, unsigned run, bool is_long),
                  void *arg) {
    const uint8_t *at = (const uint8_t *)bytes.ptr + HLL_HEADER,
                  *end = (const uint8_t *)bytes.ptr + bytes.len;
    unsigned index = 0;
    while (at < end) {
        struct run r;
        if (!read_run(at, (size_t)(end - at), &r) || r.length > HLL_REGISTERS - index) return false;
        visit(arg, r.value, r.length, r.bytes == 2);
        at += r.bytes;
        index += r.length;
    }
    return index == HLL_REGISTERS;
}

struct filling {
    uint8_t *registers;
    unsigned index;
};

static void fill_dense(void *arg, unsigned value, unsigned run, bool is_long) {
    (void)is_long;
    struct filling *f = arg;
    for (unsigned i = 0; value > 0 && i < run; i++) dense_set(f->registers, f->index + i, value);
    f->index += run;
}

bool hll_make_dense(struct buf *b) {
    if (hll_is_dense(buf_slice(b))) return true;
    struct buf dense = { 0 };
    char *bytes = buf_reserve(&dense, HLL_DENSE_BYTES);
    memset(bytes, 0, HLL_DENSE_BYTES);
    memcpy(bytes, b->ptr, HLL_HEADER);
    bytes[FORM_AT] = FORM_DENSE;
    dense.len = HLL_DENSE_BYTES;
    struct filling f = { (uint8_t *)bytes + HLL_HEADER, 0 };
    if (!hll_each_run(buf_slice(b), fill_dense, &f)) {
        buf_release(&dense);
        return false;
    }
    buf_release(b);
    *b = dense;
    return true;
}

/* ---- sparse: raising a register ---- */

/* Where a register is. Offsets, because bytes move. */
struct place {
    size_t at, previous; /* of its run and of the one before (or of the first) */
    unsigned first;      /* register of the run */
    struct run run;
};

static bool find_run(const struct buf *b, unsigned index, struct place *out) {
    struct place p = { .at = HLL_HEADER, .previous = HLL_HEADER };
    while (read_run((const uint8_t *)b->ptr + p.at, b->len - p.at, &p.run)) {
        if (index < p.first + p.run.length) {
            *out = p;
            return true;
        }
        p.previous = p.at;
        p.at += p.run.bytes;
        p.first += p.run.length;
        if (p.first >= HLL_REGISTERS) return false;
    }
    return false;
}

/* Joins neighbours of equal value among the five runs from `at` on. */
static void join_runs(struct buf *b, size_t at) {
    for (int left = 5; left > 0 && at < b->len; left--) {
        struct run r, next;
        uint8_t *bytes = (uint8_t *)b->ptr;
        if (!read_run(bytes + at, b->len - at, &r)) return;
        bool joins = r.value > 0 && read_run(bytes + at + 1, b->len - at - 1, &next) &&
                     next.value == r.value && r.length + next.length <= RUN_MAX;
        if (!joins) {
            at += r.bytes;
            continue;
        }
        write_values(bytes + at + 1, r.value, r.length + next.length);
        memmove(bytes + at, bytes + at + 1, b->len - at - 1);
        b->len--;
    }
}

static enum hll_outcome raise_as_dense(struct buf *b, struct vote v) {
    return hll_make_dense(b) ? dense_raise(b->ptr, v) : HLL_BROKEN;
}

/* The run is parted: what is before the register, the register, what is behind it. */
static size_t part_run(const struct place *p, struct vote v, uint8_t out[5]) {
    unsigned before = v.index - p->first, behind = p->run.length - before - 1;
    uint8_t *at = out;
    bool zeros = p->run.value == 0;
    at = zeros ? write_zeros(at, before) : write_values(at, p->run.value, before);
    at = write_values(at, v.value, 1);
    at = zeros ? write_zeros(at, behind) : write_values(at, p->run.value, behind);
    return (size_t)(at - out);
}

static enum hll_outcome sparse_raise(struct buf *b, struct vote v) {
    if (v.value > SPARSE_VALUE_MAX) return raise_as_dense(b, v);
    struct place p;
    if (!find_run(b, v.index, &p)) return HLL_BROKEN;
    if (p.run.value >= v.value) return HLL_SAME;

    uint8_t parts[5];
    size_t len = part_run(&p, v, parts), old = p.run.bytes;
    if (len > old && b->len + (len - old) > encoding_limits.hll_sparse_bytes) return raise_as_dense(b, v);
    if (len > old) buf_reserve(b, len - old);
    char *at = b->ptr + p.at;
    memmove(at + len, at + old, b->len - p.at - old);
    memcpy(at, parts, len);
    b->len = b->len + len - old;
    join_runs(b, p.previous);
    hll_forget_count(b->ptr);
    return HLL_CHANGED;
}

static enum hll_outcome raise_register(struct buf *b, struct vote v) {
    return hll_is_dense(buf_slice(b)) ? dense_raise(b->ptr, v) : sparse_raise(b, v);
}

enum hll_outcome hll_add(struct buf *b, struct slice element) { return raise_register(b, vote_of(element)); }

/* ---- the estimate ---- */

/* How often each value occurs. */
struct histogram {
    unsigned count[64];
};

static void count_run(void *arg, unsigned value, unsigned run, bool is_long) {
    (void)is_long;
    struct histogram *h = arg;
    h->count[value] += run;
}

static double sigma(double x) {
    if (x == 1) return INFINITY;
    double y = 1, z = x, last;
    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z != last);
    return z;
}

static double tau(double x) {
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, last;
    do {
        x = sqrt(x);
        last = z;
        y *= 0.5;
        z -= pow(1 - x, 2) * y;
    } while (z != last);
    return z / 3;
}

static uint64_t estimate(const struct histogram *h) {
    static const double m = HLL_REGISTERS, alpha = 0.721347520444481703680; /* 1 / (2 ln 2) */
    double z = m * tau((m - h->count[VALUE_MAX]) / m);
    for (int value = HASH_BITS; value >= 1; value--) z = (z + h->count[value]) * 0.5;
    z += m * sigma(h->count[0] / m);
    return (uint64_t)llround(alpha * m * m / z);
}

bool hll_count(struct slice bytes, uint64_t *count) {
    struct histogram h = { { 0 } };
    if (!hll_is_dense(bytes)) {
        if (!hll_each_run(bytes, count_run, &h)) return false;
        *count = estimate(&h);
        return true;
    }
    const uint8_t *at = (const uint8_t *)bytes.ptr + HLL_HEADER;
    for (int i = 0; i < HLL_REGISTERS / 4; i++, at += 3) {
        uint8_t four[4];
        unpack(at, four);
        for (int j = 0; j < 4; j++) h.count[four[j]]++;
    }
    *count = estimate(&h);
    return true;
}

uint64_t hll_registers_count(const struct hll_registers *r) {
    struct histogram h = { { 0 } };
    for (int i = 0; i < HLL_REGISTERS; i++) h.count[r->values[i] & 63]++;
    return estimate(&h);
}

/* ---- merging ---- */

struct raising {
    struct hll_registers *registers;
    unsigned index;
};

static void raise_run(void *arg, unsigned value, unsigned run, bool is_long) {
    (void)is_long;
    struct raising *r = arg;
    for (unsigned i = 0; i < run; i++) {
        uint8_t *reg = &r->registers->values[r->index + i];
        if (*reg < value) *reg = (uint8_t)value;
    }
    r->index += run;
}

bool hll_raise(struct hll_registers *r, struct slice bytes) {
    if (!hll_is_dense(bytes)) return hll_each_run(bytes, raise_run, &(struct raising){ r, 0 });
    const uint8_t *at = (const uint8_t *)bytes.ptr + HLL_HEADER;
    for (int i = 0; i < HLL_REGISTERS; i += 4, at += 3) {
        uint8_t four[4];
        unpack(at, four);
        for (int j = 0; j < 4; j++)
            if (r->values[i + j] < four[j]) r->values[i + j] = four[j];
    }
    return true;
}

bool hll_raise_to(struct buf *b, const struct hll_registers *r) {
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (r->values[i] == 0) continue;
        if (raise_register(b, (struct vote){ i, r->values[i] }) == HLL_BROKEN) return false;
    }
    return true;
}
