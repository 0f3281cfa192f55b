/* allocate.c: an interpreter's memory: its limit, and small blocks that are kept for the next time.
 *
 * Scripts make and drop many strings and tables of the same few sizes. A block that Lua frees goes on a list
 * of its size, from which the next one is taken: a few instructions instead of a round through the allocator
 * and its statistics. */
#include "parts.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include <string.h>

#ifdef TRIVET_SANITIZE
#define SPARE_BYTES 0 /* the sanitizer is to see every block */
#else
#define SPARE_BYTES (64 * 1024) /* of a size */
#endif

#define CHURN_BETWEEN_LOOKS (64 * 1024 * 1024) /* bytes */

static bool is_small(size_t size) { return size <= SPARE_STEP * SPARE_SIZES; }

/* What a block of this size really has. */
static size_t rounded(size_t size) { return (size + SPARE_STEP - 1) / SPARE_STEP * SPARE_STEP; }

static struct spares *spares_for(struct interpreter *in, size_t size) {
    return &in->spares[(size - 1) / SPARE_STEP];
}

static void *take(struct interpreter *in, size_t size) {
    if (!is_small(size)) return mem_alloc(size);
    struct spares *s = spares_for(in, size);
    void *block = s->first;
    if (UNLIKELY(!block)) return mem_alloc(rounded(size));
    memcpy(&s->first, block, sizeof s->first);
    s->bytes -= rounded(size);
    return block;
}

static void give_back(struct interpreter *in, void *block, size_t size) {
    struct spares *s = is_small(size) ? spares_for(in, size) : NULL;
    if (!s || s->bytes + rounded(size) > SPARE_BYTES) {
        mem_free(block);
        return;
    }
    memcpy(block, &s->first, sizeof s->first);
    s->first = block;
    s->bytes += rounded(size);
}

static void *resize(struct interpreter *in, void *block, size_t old, size_t wanted) {
    if (!is_small(old) && !is_small(wanted)) return mem_realloc(block, wanted);
    if (is_small(old) && is_small(wanted) && spares_for(in, old) == spares_for(in, wanted)) return block;
    void *moved = take(in, wanted);
    memcpy(moved, block, old < wanted ? old : wanted);
    give_back(in, block, old);
    return moved;
}

/* Few instructions can take long if they copy much. The hook of the count of instructions comes at the next
 * one then. (Setting a hook is what Lua allows at any moment.) */
static void look_soon(struct interpreter *in) {
    in->churned = 0;
    if (lua_gethookmask(in->lua) == LUA_MASKCOUNT)
        lua_sethook(in->lua, lua_gethook(in->lua), LUA_MASKCOUNT, 1);
}

static bool is_too_much(const struct interpreter *in, size_t now, size_t old, size_t wanted) {
    return in->limited && wanted > old && now + (wanted - old) > options.script_memory_limit;
}

/* As lua_Alloc wants it: returns NULL only for a size of 0, or past the limit. */
void *interpreter_allocate(void *interpreter, void *ptr, size_t old, size_t wanted) {
    struct interpreter *in = interpreter;
    size_t now = atomic_load_explicit(&in->memory, memory_order_relaxed);
    if (!ptr) old = 0;
    if (UNLIKELY(is_too_much(in, now, old, wanted))) return NULL;
    in->churned += wanted;
    if (UNLIKELY(in->churned > CHURN_BETWEEN_LOOKS)) look_soon(in);
    atomic_store_explicit(&in->memory, now - old + wanted, memory_order_relaxed);
    if (old == 0) return wanted > 0 ? take(in, wanted) : NULL;
    if (wanted > 0) return resize(in, ptr, old, wanted);
    give_back(in, ptr, old);
    return NULL;
}

void release_spares(struct interpreter *in) {
    for (size_t i = 0; i < SPARE_SIZES; i++) {
        while (in->spares[i].first) {
            void *block = in->spares[i].first;
            memcpy(&in->spares[i].first, block, sizeof block);
            mem_free(block);
        }
    }
}

size_t interpreter_memory(const struct interpreter *in) {
    return atomic_load_explicit(&in->memory, memory_order_relaxed);
}
