/* ghosts.c: lines of ghosts, and the weights that are learned from them.
 *
 * A line is one cache line: 31 ghosts in a ring, and the place of the next. The place in the ring tells the
 * age: a line gets one ghost whenever as many entries were evicted as there are lines. */
#include "trivet/keyspace/ghosts.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include <assert.h>

#define LINE_GHOSTS 31u
#define USES_BITS 2
#define STEP 0.007f            /* of a weight, for one mistake */
#define MISTAKES_STEP 0x1p-10f /* an average over about a thousand evictions */
#define MISTAKES_START 0.1f
#define WEIGHT_MAX 64.0f
#define SOON_SHARE 16 /* of a turnover */

/* A ghost is 14 bits of the hash above the uses; 0: none. The words are to search four at once. */
struct ghost_line {
    union {
        struct {
            _Atomic uint16_t ring[LINE_GHOSTS];
            _Atomic uint16_t next;
        };
        _Atomic uint64_t words[CACHE_LINE / sizeof(uint64_t)];
    };
};
static_assert(sizeof(struct ghost_line) == CACHE_LINE, "a line is one cache line");

void ghosts_init(struct ghosts *g, size_t bytes) {
    g->room = bytes / sizeof(struct ghost_line);
    g->lines = g->room ? mem_alloc_zero(g->room * sizeof *g->lines) : NULL;
    atomic_init(&g->in_use, 1);
    atomic_init(&g->soon, 1);
    atomic_init(&g->mistakes, MISTAKES_START);
    for (unsigned uses = 0; uses <= GHOST_USES_MAX; uses++)
        atomic_init(&g->weights[uses], 1.0f / (float)(1u << uses));
}

void ghosts_release(struct ghosts *g) {
    mem_free(g->lines);
    g->lines = NULL;
    g->room = 0;
}

size_t ghosts_bytes(const struct ghosts *g) { return g->room * sizeof *g->lines; }
size_t ghosts_bytes_for(size_t bytes) {
    return bytes / sizeof(struct ghost_line) * sizeof(struct ghost_line);
}

/* One to two ghosts for each entry, if there is room for them. */
void ghosts_suit(struct ghosts *g, size_t entries) {
    size_t lines = 1;
    if (!g->lines) return;
    while (2 * lines <= g->room && 2 * lines * LINE_GHOSTS <= 2 * entries) lines *= 2;
    size_t soon = entries / (SOON_SHARE * lines);
    if (soon == 0) soon = 1;
    atomic_store_explicit(&g->in_use, lines, memory_order_relaxed);
    atomic_store_explicit(&g->soon, soon < LINE_GHOSTS ? soon : LINE_GHOSTS, memory_order_relaxed);
}

static struct ghost_line *line_of(const struct ghosts *g, uint64_t hash) {
    return &g->lines[(hash >> 20) & (atomic_load_explicit(&g->in_use, memory_order_relaxed) - 1)];
}

/* Never 0, whatever the uses. */
static uint16_t print_of(uint64_t hash) {
    uint16_t print = (uint16_t)((hash >> 50) << USES_BITS);
    return print ? print : 1u << USES_BITS;
}

static void scale(_Atomic float *weight, float by) {
    float scaled = atomic_load_explicit(weight, memory_order_relaxed) * by;
    if (scaled > WEIGHT_MAX) scaled = WEIGHT_MAX;
    if (scaled < 1 / WEIGHT_MAX) scaled = 1 / WEIGHT_MAX;
    atomic_store_explicit(weight, scaled, memory_order_relaxed);
}

void ghosts_add(struct ghosts *g, uint64_t hash, unsigned uses) {
    assert(uses <= GHOST_USES_MAX);
    if (!g->lines) return;
    struct ghost_line *line = line_of(g, hash);
    unsigned next = atomic_load_explicit(&line->next, memory_order_relaxed);
    atomic_store_explicit(&line->ring[next], (uint16_t)(print_of(hash) | uses), memory_order_relaxed);
    atomic_store_explicit(&line->next, (uint16_t)((next + 1) % LINE_GHOSTS), memory_order_relaxed);
    float mistakes = atomic_load_explicit(&g->mistakes, memory_order_relaxed);
    scale(&g->weights[uses], 1 + STEP * mistakes);
    atomic_store_explicit(&g->mistakes, mistakes * (1 - MISTAKES_STEP), memory_order_relaxed);
}

#define EACH UINT64_C(0x0001000100010001) /* a bit of each of a word's four ghosts */

/* The place of the ghost with this print, or LINE_GHOSTS: that is where `next` is, which may look like one.
 */
static unsigned place_of(const struct ghost_line *line, uint16_t print) {
    for (unsigned i = 0; i < CACHE_LINE / sizeof(uint64_t); i++) {
        uint64_t word = atomic_load_explicit(&line->words[i], memory_order_relaxed);
        uint64_t differs = (word ^ print * EACH) & ~(GHOST_USES_MAX * EACH);
        /* The lowest of the four that are zero has its highest bit set; some above may have, too. */
        uint64_t zeros = (differs - EACH) & ~differs & EACH << 15;
        if (UNLIKELY(zeros)) return i * 4 + (unsigned)__builtin_ctzll(zeros) / 16;
    }
    return LINE_GHOSTS;
}

static void learn_from(struct ghosts *g, unsigned uses) {
    float mistakes = atomic_load_explicit(&g->mistakes, memory_order_relaxed);
    scale(&g->weights[uses], 1 - STEP);
    atomic_store_explicit(&g->mistakes, mistakes + MISTAKES_STEP, memory_order_relaxed);
}

unsigned ghosts_take(struct ghosts *g, uint64_t hash) {
    if (!g->lines) return 0;
    struct ghost_line *line = line_of(g, hash);
    unsigned place = place_of(line, print_of(hash));
    if (LIKELY(place == LINE_GHOSTS)) return 0;
    unsigned uses = atomic_load_explicit(&line->ring[place], memory_order_relaxed) & GHOST_USES_MAX;
    unsigned next = atomic_load_explicit(&line->next, memory_order_relaxed);
    unsigned age = (next + LINE_GHOSTS - 1 - place) % LINE_GHOSTS;
    atomic_store_explicit(&line->ring[place], 0, memory_order_relaxed);
    if (age < atomic_load_explicit(&g->soon, memory_order_relaxed)) learn_from(g, uses);
    return uses < GHOST_USES_MAX ? uses + 1 : uses;
}
