/* effects.c: what a row refuses beyond wrong syntax, and what a change causes. Effects in this layer and
 * below (the log) happen here; all others go through options_hooks. */
#include "rows.h"

#include "trivet/base/cgroup.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/base/thread.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <sched.h>

#define WORKERS_BY_DEFAULT 4
#define HZ_MIN 1
#define HZ_MAX 500

/* ---- Refusals ---- */

static bool check_plain_name(struct slice value, struct buf *why, const char *option, const char *noun) {
    if (value.len == 0 || !memchr(value.ptr, '/', value.len)) return true;
    buf_printf(why, "%s can't be a path, just a %s", option, noun);
    return false;
}

bool check_appendfilename(struct slice value, struct buf *why) {
    if (value.len == 0) return option_refuse(why, "appendfilename can't be empty");
    return check_plain_name(value, why, "appendfilename", "filename");
}

bool check_appenddirname(struct slice value, struct buf *why) {
    if (value.len == 0) return option_refuse(why, "appenddirname can't be empty");
    return check_plain_name(value, why, "appenddirname", "dirname");
}

bool check_dbfilename(struct slice value, struct buf *why) {
    return check_plain_name(value, why, "dbfilename", "filename");
}

static bool is_title_variable(struct slice name) {
    static const char *const known[] = { "title",    "listen-addr", "server-mode", "port",
                                         "tls-port", "unixsocket",  "config-file" };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (slice_equal(name, slice_of(known[i]))) return true;
    return false;
}

bool check_title_template(struct slice value, struct buf *why) {
    const char *at = value.ptr, *end = value.ptr + value.len;
    while (at < end && (at = memchr(at, '{', (size_t)(end - at)))) {
        const char *close = memchr(at, '}', (size_t)(end - at));
        if (!close || !is_title_variable(slice_between(at + 1, close)))
            return option_refuse(why, "template format is invalid or contains unknown variables");
        at = close + 1;
    }
    return true;
}

bool check_locale(struct slice value, struct buf *why) {
    char *name = slice_to_cstr(value);
    locale_t found = newlocale(LC_COLLATE_MASK, name, (locale_t)0);
    mem_free(name);
    if (!found) return option_refuse(why, "Invalid locale name");
    freelocale(found);
    return true;
}

static bool is_address(int family, struct slice value) {
    unsigned char bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    if (value.len >= sizeof text) return false;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    return inet_pton(family, text, bytes) == 1;
}

bool check_ipv4(struct slice value, struct buf *why) {
    return value.len == 0 || is_address(AF_INET, value) || option_refuse(why, "Invalid IPv4 address");
}

bool check_ipv6(struct slice value, struct buf *why) {
    return value.len == 0 || is_address(AF_INET6, value) || option_refuse(why, "Invalid IPv6 address");
}

bool check_hostname(struct slice value, struct buf *why) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (!isalnum(c) && c != '-' && c != '.')
            return option_refuse(why, "Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    return true;
}

/* ---- Passwords ---- */

/* The file's first line without its line end. */
static bool read_password(const char *path, struct buf *out, struct buf *why) {
    if (!options_read_file(path, out)) {
        buf_printf(why, "cannot read the password file '%s': %s", path, strerror(errno));
        return false;
    }
    const char *end = out->len ? memchr(out->ptr, '\n', out->len) : NULL;
    if (end) out->len = (size_t)(end - out->ptr);
    if (out->len > 0 && out->ptr[out->len - 1] == '\r') out->len--;
    if (out->len == 0 || memchr(out->ptr, '\0', out->len)) {
        buf_printf(why, "the password file '%s' has no password in its first line", path);
        return false;
    }
    return true;
}

/* Works out options.password. An empty file is refused: it must not mean "no password". */
static bool settle_password(struct buf *why) {
    assert(options.requirepass && options.requirepass_file);
    bool has_text = options.requirepass[0], has_file = options.requirepass_file[0];
    if (has_text && has_file)
        return option_refuse(why, "requirepass and requirepass-file exclude each other");
    struct buf line = { 0 };
    bool known = !has_file || read_password(options.requirepass_file, &line, why);
    if (known) text_replace(&options.password, has_file ? buf_slice(&line) : slice_of(options.requirepass));
    buf_release(&line);
    return known;
}

bool apply_password(struct buf *why) {
    if (!settle_password(why)) return false;
    if (options_hooks.password_changed) options_hooks.password_changed();
    return true;
}

static bool settle_metrics_password(struct buf *why) {
    struct buf line = { 0 };
    const char *path = options.metrics_password_file;
    bool known = !path[0] || read_password(path, &line, why);
    if (known) text_replace(&options.metrics_password, path[0] ? buf_slice(&line) : LIT(""));
    buf_release(&line);
    return known;
}

static void warn_readable_now(const char *what, const char *path) {
    struct buf warning = { 0 };
    options_warn_readable(what, path, "a password", &warning);
    if (warning.len > 0) LOG_WARNING("%.*s", (int)warning.len - 1, warning.ptr);
    buf_release(&warning);
}

bool apply_metrics_password(struct buf *why) {
    if (!settle_metrics_password(why)) return false;
    warn_readable_now("metrics password file", options.metrics_password_file);
    return true;
}

void options_forget_password(void) {
    text_replace(&options.requirepass, LIT(""));
    text_replace(&options.password, LIT(""));
}

void show_password(struct buf *out) { buf_append(out, slice_of(options.password)); }

/* ---- What depends on several settings ---- */

/* A worker for a core that a container's quota does not cover would only be throttled with the others. */
static int64_t cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int64_t count = CPU_COUNT(&set), quota = cgroup_limits("").processors;
    return quota > 0 && quota < count ? quota : count;
}

static int64_t workers_by_default(void) {
    int64_t n = cores();
    return n < WORKERS_BY_DEFAULT ? n : WORKERS_BY_DEFAULT;
}

static void settle_workers(struct buf *warnings) {
    int64_t n = options.io_threads_wanted;
    if (n > WORKERS_MAX && warnings)
        buf_printf(warnings, "'io-threads %" PRId64 "' is more than this server can use; it takes %d\n", n,
                   WORKERS_MAX);
    if (n == 0) n = workers_by_default();
    options.io_threads = n < WORKERS_MAX ? n : WORKERS_MAX;
    assert(options.io_threads >= 1);
}

void show_io_threads(struct buf *out) { buf_append_int(out, options.io_threads); }

static void settle_hz(void) {
    if (options.hz < HZ_MIN) options.hz = HZ_MIN;
    if (options.hz > HZ_MAX) options.hz = HZ_MAX;
}

static bool settle_signal(int bits, struct buf *why) {
    int both = SHUTDOWN_ON_SAVE | SHUTDOWN_ON_NOSAVE;
    return (bits & both) != both ||
           option_refuse(why, "shutdown options SAVE and NOSAVE can't be used simultaneously");
}

bool apply_shutdown_on_signal(struct buf *why) {
    return settle_signal(options.shutdown_on_sigint, why) && settle_signal(options.shutdown_on_sigterm, why);
}

bool options_settle(struct buf *warnings, struct buf *why) {
    settle_workers(warnings);
    settle_hz();
    options_warn_readable("password file", options.requirepass_file, "a password", warnings);
    options_warn_readable("metrics password file", options.metrics_password_file, "a password", warnings);
    options_warn_readable("ACL file", options.aclfile, "passwords", warnings);
    if (options.tls_port > 0)
        options_warn_readable("TLS key file", options.tls_key_file, "a private key", warnings);
    return apply_shutdown_on_signal(why) && options_settle_databases(why) && settle_password(why) &&
           settle_metrics_password(why);
}

/* ---- Effects ---- */

static bool call(void (*hook)(void)) {
    if (hook) hook();
    return true;
}

bool apply_bind(struct buf *why) {
    if (!options_hooks.rebind || options_hooks.rebind()) return true;
    return option_refuse(why, "Failed to bind to specified addresses.");
}

bool apply_cluster(struct buf *why) {
    (void)why;
    return call(options_hooks.cluster_changed);
}

/* Nodes tell each other their ports. */
bool apply_port(struct buf *why) {
    if (!options_hooks.rebind || options_hooks.rebind()) return call(options_hooks.cluster_changed);
    return option_refuse(why, "Unable to listen on this port. Check server logs.");
}

bool apply_tls(struct buf *why) {
    if (options_hooks.tls_changed && !options_hooks.tls_changed(why)) return false;
    return call(options_hooks.cluster_changed);
}

bool apply_metrics(struct buf *why) {
    return !options_hooks.metrics_changed || options_hooks.metrics_changed(why);
}

bool apply_maxclients(struct buf *why) {
    return !options_hooks.maxclients_changed || options_hooks.maxclients_changed(why);
}

bool apply_appendonly(struct buf *why) {
    return !options_hooks.appendonly_changed || options_hooks.appendonly_changed(options.appendonly, why);
}

bool apply_timers(struct buf *why) {
    (void)why;
    settle_hz();
    return call(options_hooks.timers_changed);
}

bool apply_databases(struct buf *why) {
    return options_settle_databases(why) &&
           (!options_hooks.databases_changed || options_hooks.databases_changed(why));
}

bool apply_log_form(struct buf *why) {
    (void)why;
    log_set_level((enum log_level)options.loglevel);
    log_set_form((enum log_format)options.log_format, (enum log_timestamp)options.log_timestamp_format);
    return true;
}

bool apply_logfile(struct buf *why) {
    if (log_set_file(options.logfile)) return true;
    buf_printf(why, "can't open the log file %s: %s", options.logfile, strerror(errno));
    return false;
}

#define CALLS_HOOK(function, hook)       \
    bool function(struct buf *why) {     \
        (void)why;                       \
        return call(options_hooks.hook); \
    }
CALLS_HOOK(apply_maxmemory, maxmemory_changed)
CALLS_HOOK(apply_compaction, compaction_changed)
CALLS_HOOK(apply_keepalive, keepalive_changed)
CALLS_HOOK(apply_allocator, allocator_changed)
CALLS_HOOK(apply_encodings, encodings_changed)
CALLS_HOOK(apply_logs, logs_changed)
CALLS_HOOK(apply_appendfsync, appendfsync_changed)
CALLS_HOOK(apply_tracking, tracking_changed)
CALLS_HOOK(apply_title, title_changed)
CALLS_HOOK(apply_replication, replication_changed)
