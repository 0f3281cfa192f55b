/* forms.c: the settings with a syntax of their own: lists of addresses, save points, limits by client class,
 * event letters, percentiles. Each reads into a local variable first and stores it only if all of it is
 * valid. */
#include "rows.h"

#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/settings/events.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

/* ---- bind, metrics-bind ---- */

static void addresses_clear(struct bind_list *list) {
    assert(list->count <= OPTIONS_BIND_MAX);
    for (size_t i = 0; i < list->count; i++) mem_free(list->address[i]);
    *list = (struct bind_list){ 0 };
}

static bool addresses_set(struct bind_list *list, const struct slice *argv, size_t argc, struct buf *why) {
    if (argc > OPTIONS_BIND_MAX) return option_refuse(why, "Too many bind addresses specified.");
    for (size_t i = 0; i < argc; i++)
        if (memchr(argv[i].ptr, '\0', argv[i].len))
            return option_refuse(why, "argument must not contain a NUL byte");
    addresses_clear(list);
    for (size_t i = 0; i < argc; i++) list->address[i] = slice_to_cstr(argv[i]);
    list->count = argc;
    return true;
}

static void addresses_get(const struct bind_list *list, struct buf *out) {
    for (size_t i = 0; i < list->count; i++) buf_printf(out, "%s%s", i ? " " : "", list->address[i]);
}

#define ADDRESSES(form, field)                                                        \
    static bool field##_set(const struct slice *argv, size_t argc, struct buf *why) { \
        return addresses_set(&options.field, argv, argc, why);                        \
    }                                                                                 \
    static void field##_get(struct buf *out) { addresses_get(&options.field, out); }  \
    static void field##_clear(void) { addresses_clear(&options.field); }              \
    const struct option_special form = { .set = field##_set, .get = field##_get, .release = field##_clear }
ADDRESSES(form_bind, bind);
ADDRESSES(form_metrics_bind, metrics_bind);

/* ---- save ---- */

static bool save_set(const struct slice *argv, size_t argc, struct buf *why) {
    struct save_list list = { .count = argc / 2 };
    bool right = argc % 2 == 0 && list.count <= OPTIONS_SAVE_MAX;
    for (size_t i = 0; right && i < list.count; i++) {
        struct save_point *p = &list.point[i];
        right = int64_parse(argv[2 * i], &p->seconds) && int64_parse(argv[2 * i + 1], &p->changes) &&
                p->seconds >= 1 && p->seconds <= INT32_MAX && p->changes >= 0 && p->changes <= INT32_MAX;
    }
    if (!right) return option_refuse(why, "Invalid save parameters");
    options.save = list;
    return true;
}

static void save_get(struct buf *out) {
    assert(options.save.count <= OPTIONS_SAVE_MAX);
    for (size_t i = 0; i < options.save.count; i++)
        buf_printf(out, "%s%" PRId64 " %" PRId64, i ? " " : "", options.save.point[i].seconds,
                   options.save.point[i].changes);
}

const struct option_special form_save = { .set = save_set, .get = save_get, .words_per_line = 2 };

/* ---- client-output-buffer-limit ---- */

/* The name that CONFIG GET shows comes first, as old clients know it. */
static const struct option_name client_classes[] = {
    { "normal", CLASS_NORMAL },
    { "slave", CLASS_REPLICA },
    { "pubsub", CLASS_PUBSUB },
    { "replica", CLASS_REPLICA },
    { NULL, 0 },
};

static const struct option_name *client_class_find(struct slice name) {
    for (const struct option_name *n = client_classes; n->name; n++)
        if (slice_equal_nocase(name, slice_of(n->name))) return n;
    return NULL;
}

/* Classes that the text does not name keep their limits. */
static bool output_limit_set(const struct slice *argv, size_t argc, struct buf *why) {
    if (argc % 4 != 0) return option_refuse(why, "Wrong number of arguments in buffer limit configuration.");
    struct output_limit limits[CLASS_COUNT];
    memcpy(limits, options.client_output_buffer_limit, sizeof limits);
    for (size_t i = 0; i < argc; i += 4) {
        const struct option_name *class = client_class_find(argv[i]);
        if (!class)
            return option_refuse(why, "Invalid client class specified in buffer limit configuration.");
        struct output_limit *l = &limits[class->value];
        if (!memory_size_parse(argv[i + 1], &l->hard_bytes) ||
            !memory_size_parse(argv[i + 2], &l->soft_bytes) || !int64_parse(argv[i + 3], &l->soft_seconds) ||
            l->soft_seconds < 0)
            return option_refuse(
                why, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    memcpy(options.client_output_buffer_limit, limits, sizeof limits);
    return true;
}

static void output_limit_get(struct buf *out) {
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        const struct output_limit *l = &options.client_output_buffer_limit[client_classes[i].value];
        buf_printf(out, "%s%s %" PRIu64 " %" PRIu64 " %" PRId64, i ? " " : "", client_classes[i].name,
                   l->hard_bytes, l->soft_bytes, l->soft_seconds);
    }
}

const struct option_special form_output_limit = { .set = output_limit_set,
                                                  .get = output_limit_get,
                                                  .words_per_line = 4 };

/* ---- notify-keyspace-events ---- */

/* In the order that CONFIG GET writes them; A stands for NOTIFY_ALL. */
static const struct {
    char letter;
    int bits;
} event_letters[] = {
    { 'A', NOTIFY_ALL },      { 'g', NOTIFY_GENERIC },  { '$', NOTIFY_STRING },   { 'l', NOTIFY_LIST },
    { 's', NOTIFY_SET },      { 'h', NOTIFY_HASH },     { 'z', NOTIFY_ZSET },     { 'x', NOTIFY_EXPIRED },
    { 'e', NOTIFY_EVICTED },  { 't', NOTIFY_STREAM },   { 'd', NOTIFY_MODULE },   { 'n', NOTIFY_NEW },
    { 'K', NOTIFY_KEYSPACE }, { 'E', NOTIFY_KEYEVENT }, { 'm', NOTIFY_KEY_MISS },
};

static int event_bits(char letter) {
    for (size_t i = 0; i < COUNT_OF(event_letters); i++)
        if (event_letters[i].letter == letter) return event_letters[i].bits;
    return 0;
}

static bool notify_set(const struct slice *argv, size_t argc, struct buf *why) {
    assert(argc == 1);
    int mask = 0;
    for (size_t i = 0; i < argv[0].len; i++) {
        int bits = event_bits(argv[0].ptr[i]);
        if (bits == 0) return option_refuse(why, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        mask |= bits;
    }
    options.notify_keyspace_events = mask;
    return true;
}

static void notify_get(struct buf *out) {
    int left = options.notify_keyspace_events;
    for (size_t i = 0; i < COUNT_OF(event_letters); i++) {
        int bits = event_letters[i].bits;
        if ((left & bits) != bits) continue;
        buf_append_byte(out, event_letters[i].letter);
        left &= ~bits;
    }
    assert(left == 0); /* every event has a letter */
}

const struct option_special form_notify = { .set = notify_set, .get = notify_get };

/* ---- latency-tracking-info-percentiles ---- */

static bool percentiles_set(const struct slice *argv, size_t argc, struct buf *why) {
    struct percentile_list list = { .count = argc };
    if (argc > OPTIONS_PERCENTILES_MAX)
        return option_refuse(why, "Invalid latency-tracking-info-percentiles parameters");
    for (size_t i = 0; i < argc; i++) {
        if (!double_parse(argv[i], &list.percent[i]))
            return option_refuse(why, "Invalid latency-tracking-info-percentiles parameters");
        if (list.percent[i] < 0 || list.percent[i] > 100)
            return option_refuse(
                why, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    options.latency_tracking_info_percentiles = list;
    return true;
}

static void percentiles_get(struct buf *out) {
    const struct percentile_list *list = &options.latency_tracking_info_percentiles;
    assert(list->count <= OPTIONS_PERCENTILES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        char text[DOUBLE_TEXT_MAX];
        if (i) buf_append_byte(out, ' ');
        buf_append(out, slice_make(text, double_format(text, list->percent[i])));
    }
}

const struct option_special form_percentiles = { .set = percentiles_set, .get = percentiles_get };

/* ---- replicaof ---- */

static bool replicaof_set(const struct slice *argv, size_t argc, struct buf *why) {
    bool is_none = argc == 0 || (argc == 2 && slice_equal_nocase(argv[0], LIT("no")) &&
                                 slice_equal_nocase(argv[1], LIT("one")));
    int64_t port;
    struct buf text = { 0 };
    if (!is_none && argc != 2) return option_refuse(why, "wrong number of arguments");
    if (!is_none && (!int64_parse(argv[1], &port) || port < 0 || port > 65535))
        return option_refuse(why, "Invalid master port");
    if (!is_none) buf_printf(&text, "%.*s %lld", SLICE_ARG(argv[0]), (long long)port);
    text_replace(&options.replicaof, buf_slice(&text));
    buf_release(&text);
    return true;
}

static void replicaof_get(struct buf *out) { buf_append(out, slice_of(options.replicaof)); }

static void replicaof_release(void) {
    mem_free(options.replicaof);
    options.replicaof = NULL;
}

const struct option_special form_replicaof = { .set = replicaof_set,
                                               .get = replicaof_get,
                                               .release = replicaof_release };

/* ---- dir ---- */

/* The one value that is not kept in memory here: it is a property of the process. */
static bool dir_set(const struct slice *argv, size_t argc, struct buf *why) {
    assert(argc == 1);
    char *path = slice_to_cstr(argv[0]);
    int failed = chdir(path);
    int reason = errno;
    mem_free(path);
    if (failed) return option_refuse(why, strerror(reason));
    char now[PATH_MAX];
    if (!getcwd(now, sizeof now)) return option_refuse(why, strerror(errno));
    text_replace(&options.dir, slice_of(now));
    return true;
}

static void dir_get(struct buf *out) { buf_append(out, slice_of(options.dir)); }

static void dir_release(void) {
    mem_free(options.dir);
    options.dir = NULL;
}

const struct option_special form_dir = { .set = dir_set, .get = dir_get, .release = dir_release };

/* ---- oom-score-adj-values, rdma-bind: kept only ---- */

#define OOM_VALUES 3
static int64_t oom_values[OOM_VALUES];

static bool oom_values_set(const struct slice *argv, size_t argc, struct buf *why) {
    int64_t values[OOM_VALUES];
    if (argc != OOM_VALUES) return option_refuse(why, "wrong number of arguments");
    for (size_t i = 0; i < argc; i++)
        if (!int64_parse(argv[i], &values[i]) || values[i] < -2000 || values[i] > 2000)
            return option_refuse(why,
                                 "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    memcpy(oom_values, values, sizeof values);
    return true;
}

static void oom_values_get(struct buf *out) {
    for (size_t i = 0; i < OOM_VALUES; i++) buf_printf(out, "%s%" PRId64, i ? " " : "", oom_values[i]);
}

const struct option_special form_oom_values = { .set = oom_values_set, .get = oom_values_get };

static bool rdma_bind_set(const struct slice *argv, size_t argc, struct buf *why) {
    (void)argv;
    return argc == 0 || option_refuse(why, "No RDMA building support.");
}

static void rdma_bind_get(struct buf *out) { (void)out; }

const struct option_special form_rdma_bind = { .set = rdma_bind_set, .get = rdma_bind_get };
