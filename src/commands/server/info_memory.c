/* info_memory.c: INFO memory. */
#include "info.h"
#include "memory_overview.h"
#include "trivet/base/background.h"
#include "trivet/base/number.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/eviction.h"
#include <unistd.h>

static void write_size(struct buf *out, const char *name, size_t bytes) {
    buf_printf(out, "%s:%zu" CRLF, name, bytes);
}

/* The number and once more for people. */
static void write_size_twice(struct buf *out, const char *name, size_t bytes) {
    char human[32];
    memory_size_human(human, bytes);
    buf_printf(out, "%s:%zu" CRLF "%s_human:%s" CRLF, name, bytes, name, human);
}

/* Where physical memory is more than what was asked for, by how much: "<name>_ratio" and "<name>_bytes". */
static void write_waste(struct buf *out, const char *name, size_t taken, size_t needed) {
    buf_printf(out, "%s_ratio:%.2f" CRLF "%s_bytes:%lld" CRLF, name, memory_ratio(taken, needed), name,
               (long long)taken - (long long)needed);
}

static const char *policy_name(void) {
    const struct option *o = options_find(LIT("maxmemory-policy"));
    for (const struct option_name *n = o->names; n->name; n++)
        if (n->value == options.maxmemory_policy) return n->name;
    return "";
}

static size_t system_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

static void write_used(struct buf *out, const struct memory_overview *m) {
    write_size_twice(out, "used_memory", m->used);
    write_size_twice(out, "used_memory_rss", m->resident);
    write_size_twice(out, "used_memory_peak", m->peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%" CRLF, memory_percent(m->used, m->peak));
    write_size(out, "used_memory_overhead", m->overhead);
    write_size(out, "used_memory_startup", m->startup);
    write_size(out, "used_memory_dataset", m->dataset);
    size_t since_start = m->used > m->startup ? m->used - m->startup : 0;
    buf_printf(out, "used_memory_dataset_perc:%.2f%%" CRLF, memory_percent(m->dataset, since_start));
}

/* There is no scripting engine, so nothing of this uses memory. */
static void write_scripts(struct buf *out) {
    write_size(out, "used_memory_lua", 0);
    write_size(out, "used_memory_vm_eval", 0);
    buf_printf(out, "used_memory_lua_human:0B" CRLF);
    write_size(out, "used_memory_scripts_eval", 0);
    write_size(out, "number_of_cached_scripts", 0);
    write_size(out, "number_of_functions", 0);
    write_size(out, "number_of_libraries", 0);
    write_size(out, "used_memory_vm_functions", 0);
    write_size_twice(out, "used_memory_vm_total", 0);
    write_size(out, "used_memory_functions", 0);
    write_size_twice(out, "used_memory_scripts", 0);
}

static void write_allocator(struct buf *out, const struct memory_overview *m) {
    write_waste(out, "allocator_frag", m->allocator.active, m->allocator.allocated);
    write_waste(out, "allocator_rss", m->allocator.resident, m->allocator.active);
    write_waste(out, "rss_overhead", m->resident, m->allocator.resident);
    buf_printf(out, "mem_fragmentation_ratio:%.2f" CRLF "mem_fragmentation_bytes:%lld" CRLF,
               memory_ratio(m->resident, m->used), (long long)m->resident - (long long)m->used);
}

void info_memory(const struct call *c, struct buf *out) {
    struct memory_overview m;
    memory_overview_estimate(c, &m);
    buf_append(out, LIT("# Memory" CRLF));
    write_used(out, &m);
    write_size(out, "allocator_allocated", m.allocator.allocated);
    write_size(out, "allocator_active", m.allocator.active);
    write_size(out, "allocator_resident", m.allocator.resident);
    write_size(out, "allocator_muzzy", m.allocator.muzzy);
    write_size_twice(out, "total_system_memory", system_memory());
    write_scripts(out);
    write_size_twice(out, "maxmemory", options.maxmemory);
    buf_printf(out, "maxmemory_policy:%s" CRLF, policy_name());
    write_allocator(out, &m);
    write_size(out, "mem_not_counted_for_evict", eviction_not_counted ? eviction_not_counted() : 0);
    write_size(out, "mem_replication_backlog", 0);
    write_size(out, "mem_total_replication_buffers", 0);
    write_size(out, "mem_clients_slaves", 0);
    write_size(out, "mem_clients_normal", m.clients);
    write_size(out, "mem_cluster_links", 0);
    write_size(out, "mem_aof_buffer", m.aof_buffer);
    buf_printf(out, "mem_allocator:%s" CRLF, mem_allocator_name());
    write_size(out, "active_defrag_running", 0);
    write_size(out, "lazyfree_pending_objects", background_pending());
    write_size(out, "lazyfreed_objects", background_done());
}
