/* intset.c: see intset.h for the format. */
#include "trivet/types/structures/intset.h"
#include "trivet/base/mem.h"
#include <string.h>

/* ---- the fields ---- */

static void write_u32(unsigned char *at, uint32_t n) {
    uint32_t le = htole32(n);
    memcpy(at, &le, sizeof le);
}

static void set_count(unsigned char *is, size_t count) { write_u32(is + 4, (uint32_t)count); }

static size_t width_for(int64_t n) {
    if (n >= INT16_MIN && n <= INT16_MAX) return 2;
    return n >= INT32_MIN && n <= INT32_MAX ? 4 : 8;
}

static int64_t read_at(const unsigned char *is, size_t index, size_t width) {
    const unsigned char *at = is + INTSET_HEADER + index * width;
    uint64_t n = 0;
    for (size_t i = width; i > 0; i--) n = n << 8 | at[i - 1];
    unsigned spare = (unsigned)(64 - 8 * width);
    return (int64_t)(n << spare) >> spare;
}

static void write_at(unsigned char *is, size_t index, size_t width, int64_t n) {
    unsigned char *at = is + INTSET_HEADER + index * width;
    for (size_t i = 0; i < width; i++) at[i] = (unsigned char)((uint64_t)n >> (8 * i));
}

int64_t intset_at(const unsigned char *is, size_t index) {
    assert(index < intset_count(is));
    return read_at(is, index, intset_width(is));
}

/* ---- whole intsets ---- */

unsigned char *intset_new(void) {
    unsigned char *is = mem_alloc(INTSET_HEADER);
    write_u32(is, 2);
    set_count(is, 0);
    return is;
}

void intset_free(unsigned char *is) { mem_free(is); }

unsigned char *intset_copy(const unsigned char *is) {
    size_t bytes = intset_bytes(is);
    return memcpy(mem_alloc(bytes), is, bytes);
}

/* ---- finding ---- */

/* The place of n, or where it would go. */
static size_t place_of(const unsigned char *is, int64_t n, bool *found) {
    size_t width = intset_width(is), low = 0, high = intset_count(is);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t here = read_at(is, middle, width);
        if (here == n) {
            *found = true;
            return middle;
        }
        if (here < n)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

bool intset_contains(const unsigned char *is, int64_t n) {
    bool found;
    if (width_for(n) > intset_width(is)) return false;
    (void)place_of(is, n, &found);
    return found;
}

/* ---- changing ---- */

static unsigned char *fit(unsigned char *is, size_t bytes) {
    size_t room = mem_size(is);
    bool too_big = room > INTSET_KEEPS && mem_good_size(bytes) * 2 <= room;
    return bytes > room || too_big ? mem_realloc(is, bytes) : is;
}

/* n needs a wider form than the others have, so it is below or above all of them. */
static unsigned char *widen_and_add(unsigned char *is, int64_t n) {
    size_t old = intset_width(is), width = width_for(n), count = intset_count(is);
    size_t shift = n < 0 ? 1 : 0;
    is = fit(is, INTSET_HEADER + (count + 1) * width);
    for (size_t i = count; i > 0; i--) write_at(is, i - 1 + shift, width, read_at(is, i - 1, old));
    write_at(is, n < 0 ? 0 : count, width, n);
    write_u32(is, (uint32_t)width);
    set_count(is, count + 1);
    return is;
}

unsigned char *intset_add(unsigned char *is, int64_t n, bool *added) {
    size_t width = intset_width(is), count = intset_count(is);
    *added = true;
    if (width_for(n) > width) return widen_and_add(is, n);
    bool found;
    size_t place = place_of(is, n, &found);
    *added = !found;
    if (found) return is;
    is = fit(is, INTSET_HEADER + (count + 1) * width);
    unsigned char *at = is + INTSET_HEADER + place * width;
    memmove(at + width, at, (count - place) * width);
    write_at(is, place, width, n);
    set_count(is, count + 1);
    return is;
}

unsigned char *intset_remove_at(unsigned char *is, size_t index) {
    size_t width = intset_width(is), count = intset_count(is);
    assert(index < count);
    unsigned char *at = is + INTSET_HEADER + index * width;
    memmove(at, at + width, (count - index - 1) * width);
    set_count(is, count - 1);
    return fit(is, INTSET_HEADER + (count - 1) * width);
}

unsigned char *intset_remove(unsigned char *is, int64_t n, bool *removed) {
    *removed = false;
    if (width_for(n) > intset_width(is)) return is;
    size_t place = place_of(is, n, removed);
    return *removed ? intset_remove_at(is, place) : is;
}

/* ---- validating ---- */

bool intset_is_valid(const unsigned char *bytes, size_t len) {
    if (len < INTSET_HEADER) return false;
    size_t width = intset_width(bytes), count = intset_count(bytes);
    if (width != 2 && width != 4 && width != 8) return false;
    if (count != (len - INTSET_HEADER) / width || (len - INTSET_HEADER) % width != 0) return false;
    for (size_t i = 1; i < count; i++)
        if (read_at(bytes, i - 1, width) >= read_at(bytes, i, width)) return false;
    return true;
}
