/* latency.c: the latency monitor: for each kind of event a ring of its last spikes, one sample a second.
 *
 * Events are few (a handful of kinds) and rare, so one small array in alphabetical order under a lock is
 * enough. */
#include "trivet/engine/watch/latency.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"

#define EVENTS_MAX 32

struct ring {
    const char *name; /* a literal */
    struct latency_sample samples[LATENCY_SAMPLES];
    size_t next; /* where the next sample goes; the oldest, once the ring is full */
    size_t count;
    int64_t max_ms, sum_ms;
    uint64_t total;
};

static struct lock events_lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct ring *events[EVENTS_MAX]; /* sorted by name */
static size_t event_count;

/* The event, or NULL; *place is where it is or where to insert it. */
static struct ring *find_event(struct slice name, size_t *place) {
    for (*place = 0; *place < event_count; ++*place) {
        int order = slice_compare(slice_of(events[*place]->name), name);
        if (order == 0) return events[*place];
        if (order > 0) return NULL;
    }
    return NULL;
}

static struct ring *add(const char *name, size_t place) {
    assert(event_count <= EVENTS_MAX && place <= event_count);
    if (event_count == EVENTS_MAX) return NULL;
    memmove(&events[place + 1], &events[place], (event_count - place) * sizeof *events);
    events[place] = mem_alloc_zero(sizeof **events);
    events[place]->name = name;
    event_count++;
    return events[place];
}

/* Several spikes in one second are one sample: the worst. */
static void push_spike(struct ring *r, int64_t now_s, int64_t ms) {
    r->total++;
    r->sum_ms += ms;
    if (ms > r->max_ms) r->max_ms = ms;
    struct latency_sample *last = &r->samples[(r->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    if (r->count > 0 && last->time_s == now_s) {
        if (ms > last->ms) last->ms = ms;
        return;
    }
    r->samples[r->next] = (struct latency_sample){ now_s, ms };
    r->next = (r->next + 1) % LATENCY_SAMPLES;
    if (r->count < LATENCY_SAMPLES) r->count++;
}

void latency_note_at(const char *event, int64_t ms, int64_t now_s) {
    size_t place;
    assert(event[0] && ms >= 0);
    lock_take(&events_lock);
    struct ring *r = find_event(slice_of(event), &place);
    if (!r) r = add(event, place);
    if (r) push_spike(r, now_s, ms);
    lock_drop(&events_lock);
}

void latency_note(const char *event, int64_t ms) { latency_note_at(event, ms, clock_wall_ms() / 1000); }

static void copy_out(const struct ring *r, struct latency_event *out) {
    assert(r->count > 0 && r->count <= LATENCY_SAMPLES && r->next < LATENCY_SAMPLES);
    out->name = r->name;
    out->count = r->count;
    out->max_ms = r->max_ms;
    out->sum_ms = r->sum_ms;
    out->total = r->total;
    size_t oldest = (r->next + LATENCY_SAMPLES - r->count) % LATENCY_SAMPLES;
    for (size_t i = 0; i < r->count; i++) out->samples[i] = r->samples[(oldest + i) % LATENCY_SAMPLES];
}

bool latency_get(struct slice event, struct latency_event *out) {
    size_t place;
    lock_take(&events_lock);
    const struct ring *r = find_event(event, &place);
    if (r) copy_out(r, out);
    lock_drop(&events_lock);
    return r != NULL;
}

void latency_each(void (*visit)(void *arg, const struct latency_event *event), void *arg) {
    struct latency_event copy;
    lock_take(&events_lock);
    for (size_t i = 0; i < event_count; i++) {
        copy_out(events[i], &copy);
        visit(arg, &copy);
    }
    lock_drop(&events_lock);
}

size_t latency_reset(struct slice event) {
    size_t gone = 0, place;
    lock_take(&events_lock);
    for (size_t i = event_count; i-- > 0;) {
        if (event.len > 0 && find_event(event, &place) != events[i]) continue;
        mem_free(events[i]);
        memmove(&events[i], &events[i + 1], (event_count - i - 1) * sizeof *events);
        event_count--;
        gone++;
    }
    lock_drop(&events_lock);
    return gone;
}

/* ---- LATENCY GRAPH ---- */

#define GRAPH_ROWS 4
#define GRAPH_COLUMNS 80

/* "12s", "5m", "3h", "2d" ago, as a column label of at most four characters. */
static void age_label(char label[8], int64_t age_s) {
    static const struct {
        int64_t unit;
        char letter;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    if (age_s < 0) age_s = 0;
    size_t u = 0;
    while (u < COUNT_OF(units) - 1 && age_s < units[u].unit) u++;
    int64_t n = age_s / units[u].unit;
    if (n > 999) n = 999;
    size_t len = 0;
    if (n >= 100) label[len++] = (char)('0' + n / 100);
    if (n >= 10) label[len++] = (char)('0' + n / 10 % 10);
    label[len++] = (char)('0' + n % 10);
    label[len++] = units[u].letter;
    label[len] = '\0';
}

/* One row of the bars, the highest first: '_' is an empty bar's foot, 'o' and '#' grow with the height. */
static void graph_row(struct buf *out, const struct latency_sample *at, size_t count, int row, int64_t low,
                      int64_t high) {
    int64_t span = high > low ? high - low : 1;
    assert(low <= high && row >= 0 && row < GRAPH_ROWS);
    for (size_t i = 0; i < count; i++) {
        int64_t height =
            (at[i].ms - low) * (GRAPH_ROWS * 2 - 1) / span - (GRAPH_ROWS - 1 - row) * 2; /* half rows */
        char mark = height < 0 ? ' ' : height == 0 ? (row == GRAPH_ROWS - 1 ? '_' : 'o') : '#';
        buf_append_byte(out, mark);
    }
    buf_append_byte(out, '\n');
}

static void graph_labels(struct buf *out, const struct latency_sample *at, size_t count, int64_t now_s) {
    for (size_t row = 0; row < 4; row++) {
        for (size_t i = 0; i < count; i++) {
            char label[8];
            age_label(label, now_s - at[i].time_s);
            buf_append_byte(out, row < strlen(label) ? label[row] : ' ');
        }
        buf_append_byte(out, '\n');
    }
}

bool latency_graph(struct slice event, int64_t now_s, struct buf *out) {
    struct latency_event e;
    if (!latency_get(event, &e)) return false;
    size_t count = e.count < GRAPH_COLUMNS ? e.count : GRAPH_COLUMNS;
    const struct latency_sample *at = e.samples + (e.count - count);
    int64_t low = at[0].ms, high = at[0].ms;
    for (size_t i = 1; i < count; i++) {
        if (at[i].ms < low) low = at[i].ms;
        if (at[i].ms > high) high = at[i].ms;
    }
    buf_printf(out, "%s - high %lld ms, low %lld ms (all time high %lld ms)\n", e.name, (long long)high,
               (long long)low, (long long)e.max_ms);
    for (int i = 0; i < GRAPH_COLUMNS; i++) buf_append_byte(out, '-');
    buf_append_byte(out, '\n');
    for (int row = 0; row < GRAPH_ROWS; row++) graph_row(out, at, count, row, low, high);
    buf_append_byte(out, '\n');
    graph_labels(out, at, count, now_s);
    return true;
}

/* ---- LATENCY DOCTOR ---- */

struct doctor {
    struct buf *out;
    size_t events;
};

static const char *advice_for(const char *event) {
    static const struct {
        const char *event, *text;
    } advice[] = {
        { "command", "Look at SLOWLOG GET for commands that walk many elements; use SCAN and its kin, or "
                     "smaller values." },
        { "fast-command",
          "A command that does little work took long: the machine lacks processor time, swaps, or its "
          "hypervisor stole the time. Compare with 'redis-cli --intrinsic-latency'." },
        { "expire-cycle",
          "Very many keys expire at the same time: spread their times, or lower active-expire-effort." },
        { "eviction-cycle", "Memory is at its limit and big values are being evicted: raise maxmemory, set "
                            "lazyfree-lazy-eviction, or store smaller values." },
        { "aof-write", "The disk is slow to take writes: look for others that use it, or give the AOF a disk "
                       "of its own." },
        { "aof-fsync-always",
          "The disk is slow to sync: 'appendfsync everysec' does it outside the commands' way." },
    };
    for (size_t i = 0; i < COUNT_OF(advice); i++)
        if (strcmp(advice[i].event, event) == 0) return advice[i].text;
    return NULL;
}

static void describe_event(void *arg, const struct latency_event *e) {
    struct doctor *d = arg;
    int64_t sum = 0, deviation = 0, count = (int64_t)e->count;
    for (size_t i = 0; i < e->count; i++) sum += e->samples[i].ms;
    int64_t average = sum / count;
    for (size_t i = 0; i < e->count; i++) {
        int64_t away = e->samples[i].ms - average;
        deviation += away < 0 ? -away : away;
    }
    int64_t span_s = e->samples[e->count - 1].time_s - e->samples[0].time_s;
    buf_printf(d->out, "%zu. %s: %zu latency spikes (average %lld ms, mean deviation %lld ms, ", ++d->events,
               e->name, e->count, (long long)average, (long long)(deviation / count));
    buf_printf(d->out, "period %.2f s). Worst of all time: %lld ms.\n", (double)span_s / (double)count,
               (long long)e->max_ms);
    const char *advice = advice_for(e->name);
    if (advice) buf_printf(d->out, "   %s\n", advice);
}

void latency_doctor(struct buf *out) {
    struct buf events_text = { 0 };
    struct doctor d = { &events_text, 0 };
    latency_each(describe_event, &d);
    if (d.events > 0)
        buf_printf(out, "Latency spikes were seen in %zu kind%s of events:\n\n%.*s", d.events,
                   d.events == 1 ? "" : "s", SLICE_ARG(buf_slice(&events_text)));
    else if (options.latency_monitor_threshold_ms == 0)
        buf_printf(out, "The latency monitor is off and nothing was recorded. Turn it on with 'CONFIG SET "
                        "latency-monitor-threshold <milliseconds>'.\n");
    else
        buf_printf(out, "No latency spike was seen: no event took %lld ms or longer.\n",
                   (long long)options.latency_monitor_threshold_ms);
    buf_release(&events_text);
}
