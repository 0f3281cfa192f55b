/* histogram.c: see histogram.h. */
#include "histogram.h"
#include "trivet/base/counter.h"
#include "trivet/base/mem.h"
#include <string.h>

/* The highest value that this place counts. */
static uint64_t place_top(unsigned group, unsigned step) {
    if (group == 0) return step;
    return ((uint64_t)(STEPS + step + 1) << (group - 1)) - 1;
}

struct histogram *histogram_make(histogram_place *at) {
    struct histogram *made = mem_alloc_zero(sizeof *made);
    atomic_store_explicit(at, made, memory_order_release);
    return made;
}

atomic_count *histogram_make_group(struct histogram *h, unsigned group) {
    atomic_count *made = mem_alloc_zero(STEPS * sizeof *made);
    atomic_store_explicit(&h->group[group], made, memory_order_release);
    return made;
}

void histogram_clear(histogram_place *at) {
    struct histogram *h = atomic_exchange(at, NULL);
    for (unsigned g = 0; h && g < GROUPS; g++) mem_free(atomic_load(&h->group[g]));
    mem_free(h);
}

/* ---- reading ---- */

void histogram_set_add(struct histogram_set *set, histogram_place *at) {
    const struct histogram *h = atomic_load_explicit(at, memory_order_acquire);
    assert(set->count >= 0 && set->count < (int)COUNT_OF(set->of));
    if (h) set->of[set->count++] = h;
}

/* Adds up one group over the set; false if nobody has it. */
static bool sum_group(const struct histogram_set *set, unsigned group, uint64_t sum[STEPS]) {
    bool any = false;
    memset(sum, 0, STEPS * sizeof *sum);
    for (int h = 0; h < set->count; h++) {
        const atomic_count *counts = atomic_load_explicit(&set->of[h]->group[group], memory_order_acquire);
        if (!counts) continue;
        any = true;
        for (int i = 0; i < STEPS; i++) sum[i] += counter_read(&counts[i]);
    }
    return any;
}

/* Visits the places with values, in rising order; `visit` returns false to stop. */
static void each_place(const struct histogram_set *set,
                       bool (*visit)(void *arg, unsigned group, unsigned step, uint64_t count), void *arg) {
    uint64_t sum[STEPS];
    for (unsigned g = 0; g < GROUPS; g++) {
        if (!sum_group(set, g, sum)) continue;
        for (unsigned s = 0; s < STEPS; s++)
            if (sum[s] && !visit(arg, g, s, sum[s])) return;
    }
}

static bool add_count(void *arg, unsigned group, unsigned step, uint64_t count) {
    (void)group, (void)step;
    *(uint64_t *)arg += count;
    return true;
}

struct percentile_search {
    uint64_t wanted, seen, top_ns;
};

static bool search_percentile(void *arg, unsigned group, unsigned step, uint64_t count) {
    struct percentile_search *p = arg;
    p->seen += count;
    p->top_ns = place_top(group, step);
    return p->seen < p->wanted;
}

double histogram_percentile(const struct histogram_set *set, double percentile) {
    assert(percentile >= 0 && percentile <= 100);
    uint64_t total = 0;
    each_place(set, add_count, &total);
    if (total == 0) return 0;
    struct percentile_search p = { .wanted = (uint64_t)(percentile / 100 * (double)total + 0.5) };
    if (p.wanted == 0) p.wanted = 1;
    each_place(set, search_percentile, &p);
    return (double)p.top_ns / 1000;
}

struct row_builder {
    struct histogram_row *out;
    size_t count, max;
    unsigned power; /* the next row's limit is the place of 1024 << power nanoseconds */
    uint64_t seen, reported;
};

/* Ends the row of the present limit, unless its count is that of the row before. */
static void end_row(struct row_builder *b) {
    unsigned group, step;
    histogram_place_of(UINT64_C(1024) << b->power, &group, &step);
    b->power++;
    assert(b->seen >= b->reported && b->count <= b->max);
    if (b->seen == b->reported || b->count == b->max) return;
    b->out[b->count++] = (struct histogram_row){ place_top(group, step) / 1000, b->seen };
    b->reported = b->seen;
}

static bool build_rows(void *arg, unsigned group, unsigned step, uint64_t count) {
    struct row_builder *b = arg;
    while (place_top(group, step) > (UINT64_C(1024) << b->power) && b->power < 40) {
        unsigned limit_group, limit_step;
        histogram_place_of(UINT64_C(1024) << b->power, &limit_group, &limit_step);
        if (group == limit_group && step == limit_step) break;
        end_row(b);
    }
    b->seen += count;
    return true;
}

size_t histogram_rows(const struct histogram_set *set, struct histogram_row *out, size_t max) {
    struct row_builder b = { .out = out, .max = max };
    each_place(set, build_rows, &b);
    end_row(&b);
    return b.count;
}
