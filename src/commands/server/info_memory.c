/* info_memory.c: INFO memory. */
#include "info.h"
#include "memory_overview.h"
#include "trivet/base/background.h"
#include "trivet/base/number.h"
#include "trivet/engine/settings/options.h"
#include "trivet/keyspace/compaction.h"
#include "trivet/keyspace/eviction.h"
#include "trivet/script/store/functions.h"
#include <unistd.h>

struct memory_sample {
    struct memory_overview m;
    size_t system, maxmemory, not_counted, freeing, freed, compaction;
    double peak_percent, dataset_percent, frag_ratio, rss_ratio, overhead_ratio, fragmentation_ratio;
    int64_t frag_bytes, rss_bytes, overhead_bytes, fragmentation_bytes;
    const char *policy, *allocator, *lua_human;
    struct scripts_info scripts;
    struct functions_info functions;
    size_t interpreters, scripts_and_functions;
    char lua_text[32];
};

static size_t system_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
}

/* Where physical memory is more than what was asked for, by how much. */
static void compare(size_t taken, size_t needed, double *ratio, int64_t *bytes) {
    *ratio = memory_ratio(taken, needed);
    *bytes = (int64_t)taken - (int64_t)needed;
}

static void sample_ratios(struct memory_sample *s) {
    const struct memory_overview *m = &s->m;
    size_t since_start = m->used > m->startup ? m->used - m->startup : 0;
    s->peak_percent = memory_percent(m->used, m->peak);
    s->dataset_percent = memory_percent(m->dataset, since_start);
    compare(m->allocator.active, m->allocator.allocated, &s->frag_ratio, &s->frag_bytes);
    compare(m->allocator.resident, m->allocator.active, &s->rss_ratio, &s->rss_bytes);
    compare(m->resident, m->allocator.resident, &s->overhead_ratio, &s->overhead_bytes);
    compare(m->resident, m->used, &s->fragmentation_ratio, &s->fragmentation_bytes);
}

static void sample_scripts(struct memory_sample *s) {
    scripts_info(&s->scripts);
    functions_info(&s->functions);
    s->interpreters = s->scripts.interpreter + s->functions.interpreter;
    s->scripts_and_functions = s->scripts.memory + s->functions.memory;
    memory_size_human(s->lua_text, s->scripts.interpreter);
    s->lua_human = s->lua_text;
}

static bool sample_memory(int64_t now_ms, void *into) {
    struct memory_sample *s = into;
    memory_overview_estimate(now_ms, &s->m);
    sample_ratios(s);
    s->system = system_memory();
    s->maxmemory = options.maxmemory;
    s->policy = option_policy_name((unsigned)options.maxmemory_policy);
    s->not_counted = eviction_not_counted ? eviction_not_counted() : 0;
    s->allocator = mem_allocator_name();
    sample_scripts(s);
    s->freeing = background_pending();
    s->freed = background_done();
    s->compaction = (size_t)compaction_effort();
    return true;
}

#define SIZE(field) "bytes", METRIC_GAUGE, FORM_NUMBER, SAMPLED(struct memory_sample, field)
#define TWICE(field) "bytes", METRIC_GAUGE, FORM_BYTES, SAMPLED(struct memory_sample, field)
#define SIGNED(field) "bytes", METRIC_GAUGE, FORM_SIGNED, SAMPLED(struct memory_sample, field)
#define RATIO(field) "ratio", METRIC_GAUGE, FORM_REAL, SAMPLED(struct memory_sample, field)
#define PERCENT(field) "percent", METRIC_GAUGE, FORM_PERCENT, SAMPLED(struct memory_sample, field)
#define TEXT(field) NULL, METRIC_TEXT, FORM_STRING, SAMPLED(struct memory_sample, field)
#define NONE(form) "bytes", METRIC_GAUGE, form, FROM_NOTHING, 0
#define COUNT(field) NULL, METRIC_GAUGE, FORM_NUMBER, SAMPLED(struct memory_sample, field)

static const struct metric memory_rows[] = {
    { "used_memory", "What the server has allocated.", TWICE(m.used) },
    { "used_memory_rss", "Physical memory of the process.", TWICE(m.resident) },
    { "used_memory_peak", "The most that was ever allocated.", TWICE(m.peak) },
    { "used_memory_peak_perc", "What is allocated, of the most that ever was.", PERCENT(peak_percent) },
    { "used_memory_overhead", "What is no data: start-up, clients, AOF buffer, tables.", SIZE(m.overhead) },
    { "used_memory_startup", "What was allocated when the server was ready.", SIZE(m.startup) },
    { "used_memory_dataset", "Data: what is allocated and not overhead.", SIZE(m.dataset) },
    { "used_memory_dataset_perc", "Data, of what was allocated since the start.", PERCENT(dataset_percent) },
    { "allocator_allocated", "What is allocated, as the allocator counts it.", SIZE(m.allocator.allocated) },
    { "allocator_active", "The allocator's pages in use.", SIZE(m.allocator.active) },
    { "allocator_resident", "The allocator's pages in physical memory.", SIZE(m.allocator.resident) },
    { "allocator_muzzy", "Pages that the system may take back.", SIZE(m.allocator.muzzy) },
    { "total_system_memory", "Physical memory of the machine.", TWICE(system) },
    { "used_memory_lua", "Memory of the interpreter for EVAL.", SIZE(scripts.interpreter) },
    { "used_memory_vm_eval", "Memory of the interpreter for EVAL.", SIZE(scripts.interpreter) },
    { "used_memory_lua_human", "Memory of the interpreter for EVAL.", TEXT(lua_human) },
    { "used_memory_scripts_eval", "Memory of the scripts for EVAL.", SIZE(scripts.memory) },
    { "number_of_cached_scripts", "Scripts for EVAL.", COUNT(scripts.count) },
    { "number_of_functions", "Functions.", COUNT(functions.functions) },
    { "number_of_libraries", "Libraries of functions.", COUNT(functions.libraries) },
    { "used_memory_vm_functions", "Memory of the interpreter for functions.", SIZE(functions.interpreter) },
    { "used_memory_vm_total", "Memory of both interpreters.", TWICE(interpreters) },
    { "used_memory_functions", "Memory of the functions.", SIZE(functions.memory) },
    { "used_memory_scripts", "Memory of scripts and functions, without the interpreters.",
      TWICE(scripts_and_functions) },
    { "maxmemory", "The setting maxmemory; 0: no limit.", TWICE(maxmemory) },
    { "maxmemory_policy", "The setting maxmemory-policy.", TEXT(policy) },
    { "allocator_frag_ratio", "Pages in use to what is allocated in them.", RATIO(frag_ratio) },
    { "allocator_frag_bytes", "Pages in use beyond what is allocated in them.", SIGNED(frag_bytes) },
    { "allocator_rss_ratio", "Pages in physical memory to pages in use.", RATIO(rss_ratio) },
    { "allocator_rss_bytes", "Pages in physical memory beyond pages in use.", SIGNED(rss_bytes) },
    { "rss_overhead_ratio", "The process' physical memory to the allocator's.", RATIO(overhead_ratio) },
    { "rss_overhead_bytes", "The process' physical memory beyond the allocator's.", SIGNED(overhead_bytes) },
    { "mem_fragmentation_ratio", "Physical memory to what is allocated.", RATIO(fragmentation_ratio) },
    { "mem_fragmentation_bytes", "Physical memory beyond what is allocated.", SIGNED(fragmentation_bytes) },
    { "mem_not_counted_for_evict", "On its way to the disk or to replicas: no data for maxmemory.",
      SIZE(not_counted) },
    { "mem_replication_backlog", "The backlog for replicas.", SIZE(m.backlog) },
    { "mem_total_replication_buffers", "Backlog and output for replicas.", SIZE(m.for_replicas) },
    { "mem_clients_slaves", "What replicas need beyond the backlog.", SIZE(m.replicas) },
    { "mem_clients_normal", "Connections and their buffers.", SIZE(m.clients) },
    { "mem_cluster_links", "Connections to other nodes.", NONE(FORM_NUMBER) },
    { "mem_aof_buffer", "What the append-only file has not written yet.", SIZE(m.aof_buffer) },
    { "mem_allocator", "The allocator.", TEXT(allocator) },
    /* Tables grow and shrink inside the one array that they have. */
    { "mem_overhead_db_hashtable_rehashing", "Old arrays of tables that are growing or shrinking.",
      NONE(FORM_NUMBER) },
    { "active_defrag_running", "Percent of their time that workers give to compaction; 0: there is none.",
      "percent", METRIC_GAUGE, FORM_NUMBER, SAMPLED(struct memory_sample, compaction) },
    { "lazyfree_pending_objects", "Objects that wait to be freed in the background.", NULL, METRIC_GAUGE,
      FORM_NUMBER, SAMPLED(struct memory_sample, freeing) },
    { "lazyfreed_objects", "Objects that were freed in the background.", NULL, METRIC_COUNTER, FORM_NUMBER,
      SAMPLED(struct memory_sample, freed) },
    { NULL },
};

const struct metric_table info_memory = { "Memory", memory_rows, sizeof(struct memory_sample), sample_memory,
                                          NULL };
