/* access.c: the access field of entries: when it was used, and how often. Which of the two forms it has is a
 * matter of the policy of its database. */
#include "access_private.h"
#include "trivet/base/random.h"
#include "trivet/keyspace/keyspace.h"
#include "trivet/keyspace/scan.h"

#define LFU_START 5 /* a new entry must have a chance to be used again */
#define LFU_MAX 255

static uint32_t lru_join(uint32_t tick, uint32_t uses) { return tick << USES_BITS | uses; }
static uint32_t lfu_join(uint32_t minute, uint32_t counter) { return (minute & MINUTE_MASK) << 8 | counter; }

/* The counter after the decay periods that have passed. *since is the minute at which the last of them ended,
 * so that the current period goes on. */
static uint32_t lfu_decayed(uint32_t access, int64_t now_ms, uint32_t *since) {
    uint32_t counter = access & 0xff, last = access >> 8 & MINUTE_MASK, now = minute_of(now_ms);
    uint32_t period = (uint32_t)eviction_settings.lfu_decay_minutes;
    *since = now;
    if (period == 0) return counter;
    uint32_t elapsed = (now - last) & MINUTE_MASK;
    *since = now - elapsed % period;
    uint32_t periods = elapsed / period;
    return periods > counter ? 0 : counter - periods;
}

/* The higher the counter, the less likely it rises: it grows with the logarithm of the uses. */
static uint32_t lfu_incremented(uint32_t counter) {
    if (counter == LFU_MAX) return counter;
    double above = counter > LFU_START ? (double)(counter - LFU_START) : 0;
    double chance = 1.0 / (above * eviction_settings.lfu_log_factor + 1);
    double thrown = (double)(random_u64() >> 11) * 0x1p-53;
    return thrown < chance ? counter + 1 : counter;
}

uint32_t eviction_access_new(uint32_t db, int64_t now_ms) {
    if (eviction_counts_uses(db)) return lfu_join(minute_of(now_ms), LFU_START);
    return lru_join(tick_of(now_ms), 0);
}

uint32_t eviction_access_used(uint32_t db, uint32_t access, int64_t now_ms) {
    if (LIKELY(!(eviction_settings.policy & (EVICT_LFU | EVICT_VARIES))) || !eviction_counts_uses(db)) {
        uint32_t uses = uses_of(access);
        return lru_join(tick_of(now_ms), uses < GHOST_USES_MAX ? uses + 1 : uses);
    }
    uint32_t since, counter = lfu_decayed(access, now_ms, &since);
    return lfu_join(since, lfu_incremented(counter));
}

/* From the other sort. A counter says nothing of the time but its last decay, a time nothing of a counter. */
static uint32_t translated(bool counts, uint32_t access, int64_t now_ms) {
    if (counts) {
        int64_t used_ms = now_ms - eviction_idle_ms(access, now_ms);
        return lfu_join(minute_of(used_ms), LFU_START);
    }
    uint32_t minutes = (minute_of(now_ms) - (access >> 8)) & MINUTE_MASK;
    return eviction_access_idle((int64_t)minutes * 60000, now_ms);
}

uint32_t eviction_access_moved(uint32_t from, uint32_t to, uint32_t access, int64_t now_ms) {
    bool counts = eviction_counts_uses(to);
    if (LIKELY(eviction_counts_uses(from) == counts)) return access;
    return translated(counts, access, now_ms) & ENTRY_ACCESS_MASK;
}

struct translation {
    bool counts;
    int64_t now_ms;
};

static bool translate(void *arg, struct entry *e) {
    const struct translation *t = arg;
    e->access = translated(t->counts, e->access, t->now_ms) & ENTRY_ACCESS_MASK;
    return true;
}

void access_translate(uint32_t db, int64_t now_ms) {
    struct translation t = { eviction_counts_uses(db), now_ms };
    (void)keyspace_each(db, translate, &t);
}

void eviction_swapped(uint32_t a, uint32_t b, int64_t now_ms) {
    if (LIKELY(eviction_counts_uses(a) == eviction_counts_uses(b))) return;
    access_translate(a, now_ms);
    access_translate(b, now_ms);
}

int64_t eviction_idle_ms(uint32_t access, int64_t now_ms) {
    return (int64_t)idle_ticks(access, now_ms) << TICK_SHIFT;
}

uint8_t eviction_frequency(uint32_t access, int64_t now_ms) {
    uint32_t since;
    return (uint8_t)lfu_decayed(access, now_ms, &since);
}

uint32_t eviction_access_idle(int64_t idle_ms, int64_t now_ms) {
    int64_t most = TICK_MASK - FUTURE_TICKS, ticks = idle_ms >> TICK_SHIFT;
    if (ticks << TICK_SHIFT < idle_ms) ticks++; /* who asks for seconds must hear as many */
    if (ticks > most) ticks = most;
    return lru_join((tick_of(now_ms) - (uint32_t)ticks) & TICK_MASK, 0);
}

uint32_t eviction_access_frequency(uint8_t frequency, int64_t now_ms) {
    return lfu_join(minute_of(now_ms), frequency);
}
