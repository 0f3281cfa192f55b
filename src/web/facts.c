/* facts.c: see facts.h. First the rows of INFO, each a family of its own, or a label of trivet_info; then
 * what has labels, which INFO shows as lines or not at all. */
#include "facts.h"
#include "exposition.h"
#include "labelled.h"

/* Texts become numbers where they have two values. */
static const struct flag {
    const char *row, *yes, *family, *help;
} flags[] = {
    { "rdb_last_bgsave_status", "ok", "trivet_rdb_last_bgsave_ok", "0 if the last BGSAVE failed." },
    { "aof_last_bgrewrite_status", "ok", "trivet_aof_last_bgrewrite_ok",
      "0 if the last rewrite of the append-only file failed." },
    { "aof_last_write_status", "ok", "trivet_aof_last_write_ok",
      "0 if the append-only file could not be written." },
    { "master_link_status", "up", "trivet_primary_link_up", "1 if the link to the primary is up." },
};

/* What identifies this server. */
static const struct identity {
    const char *row, *label;
} identities[] = {
    { "trivet_version", "version" },
    { "redis_version", "redis_version" },
    { "redis_mode", "mode" },
    { "os", "os" },
    { "run_id", "run_id" },
    { "tcp_port", "tcp_port" },
    { "role", "role" },
    { "maxmemory_policy", "maxmemory_policy" },
};

struct writing {
    struct buf *out;
    struct buf info; /* the sample of trivet_info */
    struct memory_parts memory;
};

static void add_identity(struct writing *w, const struct metric *m, union metric_value v) {
    struct buf text = { 0 };
    for (size_t i = 0; i < COUNT_OF(identities); i++) {
        if (strcmp(identities[i].row, m->name) != 0) continue;
        buf_clear(&text);
        if (m->kind == METRIC_TEXT)
            buf_append(&text, slice_of(v.text));
        else
            buf_append_int(&text, v.whole);
        exposition_label(&w->info, identities[i].label, buf_slice(&text));
    }
    buf_release(&text);
}

static void write_flag(struct buf *out, const struct metric *m, union metric_value v) {
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (strcmp(flags[i].row, m->name) != 0) continue;
        exposition_family(out, flags[i].family, "gauge", flags[i].help);
        exposition_begin(out, flags[i].family);
        exposition_number(out, strcmp(v.text, flags[i].yes) == 0);
    }
}

static void write_row(void *arg, const struct metric_table *t, const struct metric *m, union metric_value v) {
    struct writing *w = arg;
    (void)t;
    add_identity(w, m, v);
    memory_parts_note(&w->memory, m, v);
    if (m->kind == METRIC_TEXT)
        write_flag(w->out, m, v);
    else
        exposition_row(w->out, m, v);
}

static void write_info(struct writing *w) {
    exposition_family(w->out, "trivet_info", "gauge", "What this server is; always 1.");
    buf_append(w->out, buf_slice(&w->info));
    exposition_number(w->out, 1);
    buf_release(&w->info);
}

void facts_write(int64_t now_ms, struct buf *out) {
    struct writing w = { .out = out };
    exposition_begin(&w.info, "trivet_info");
    metrics_each(NULL, now_ms, write_row, &w);
    write_info(&w);
    labelled_memory(&w.memory, out);
    labelled_keyspace(out);
    labelled_workers(out);
    labelled_replicas(now_ms, out);
    labelled_errors(out);
    labelled_commands(out);
}
