/* elements.c: items of a table are scanned and drawn by lot. */
#include "elements.h"

/* ---- checking ---- */

static bool add_size(void *arg, void *item) {
    *(size_t *)arg += mem_size(item);
    return true;
}

void elements_check(const struct elements *of) {
    size_t bytes = 0;
    table_check(&of->table);
    (void)table_each(&of->table, add_size, &bytes);
    assert(bytes == of->held);
}

/* ---- scanning ---- */

struct scanning {
    void (*visit)(void *arg, void *item);
    void *arg;
    size_t seen;
};

static void scan_item(void *arg, void *item) {
    struct scanning *s = arg;
    s->seen++;
    s->visit(s->arg, item);
}

#define SCAN_CALLS_AN_ITEM 10 /* a sparse table is not searched further than that */

uint64_t elements_scan(struct table *t, uint64_t cursor, size_t count, void (*visit)(void *arg, void *item),
                       void *arg) {
    struct scanning s = { visit, arg, 0 };
    size_t calls = count < SIZE_MAX / SCAN_CALLS_AN_ITEM ? count * SCAN_CALLS_AN_ITEM : SIZE_MAX;
    do {
        cursor = table_scan(t, cursor, scan_item, &s);
    } while (cursor && --calls > 0 && s.seen < count);
    return cursor;
}

/* ---- chance ---- */

/* The addresses that the dice have shown, in a table of their own: false if this one was seen. */
static bool note_new(const void **seen, size_t mask, const void *item) {
    size_t place = (size_t)(((uintptr_t)item >> 4) * 0x9e3779b97f4a7c15ULL >> 20) & mask;
    while (seen[place] && seen[place] != item) place = (place + 1) & mask;
    if (seen[place]) return false;
    seen[place] = item;
    return true;
}

void elements_by_dice(const struct table *t, size_t count, void (*visit)(void *arg, void *item), void *arg) {
    assert(count <= table_count(t));
    size_t room = 16;
    while (room < 2 * count) room *= 2;
    const void **seen = mem_alloc_zero(room * sizeof *seen);
    while (count > 0) {
        void *item = table_random(t, random_u64());
        if (!note_new(seen, room - 1, item)) continue;
        visit(arg, item);
        count--;
    }
    mem_free(seen);
}
