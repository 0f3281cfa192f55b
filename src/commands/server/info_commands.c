/* info_commands.c: INFO's sections about commands: commandstats, latencystats, and errorstats. */
#include "info.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include "trivet/engine/watch/errors.h"
#include "trivet/engine/watch/stats.h"

static void each_command(void (*write)(const struct command *command, struct buf *out), struct buf *out) {
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *command = registry_by_id(id);
        if (command) write(command, out);
    }
}

static void write_calls(const struct command *command, struct buf *out) {
    struct command_stats s = stats_command(command);
    if (s.calls == 0 && s.rejected == 0 && s.failed == 0) return;
    buf_printf(
        out, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu" CRLF,
        command->full_name, (unsigned long long)s.calls, (unsigned long long)s.us,
        s.calls ? (double)s.us / (double)s.calls : 0, (unsigned long long)s.rejected,
        (unsigned long long)s.failed);
}

void info_commandstats(struct buf *out) { each_command(write_calls, out); }

static void write_percentiles(const struct command *command, struct buf *out) {
    const struct percentile_list *wanted = &options.latency_tracking_info_percentiles;
    if (wanted->count == 0 || stats_command_percentile(command, 100) == 0) return;
    buf_printf(out, "latency_percentiles_usec_%s:", command->full_name);
    for (size_t i = 0; i < wanted->count; i++)
        buf_printf(out, "%sp%.10g=%.3f", i ? "," : "", wanted->percent[i],
                   stats_command_percentile(command, wanted->percent[i]));
    buf_append(out, LIT(CRLF));
}

void info_latencystats(struct buf *out) {
    if (options.latency_tracking) each_command(write_percentiles, out);
}

static void write_error(void *arg, const char *code, uint64_t count) {
    buf_printf(arg, "errorstat_%s:count=%llu" CRLF, code, (unsigned long long)count);
}

void info_errorstats(struct buf *out) { stats_each_error(write_error, out); }
