/* debug_client.c: DEBUG's subcommands about replies and the memory of clients. */
#include "debug.h"
#include "trivet/base/buf.h"
#include "trivet/base/number.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/client_memory.h"
#include "trivet/engine/settings/options.h"

/* ---- PROTOCOL ---- */

static void sample_string(struct reply *r) { reply_bulk(r, LIT("Hello World")); }
static void sample_integer(struct reply *r) { reply_int(r, 12345); }
static void sample_double(struct reply *r) { reply_double(r, 3.141); }
static void sample_null(struct reply *r) { reply_null(r); }
static void sample_true(struct reply *r) { reply_bool(r, true); }
static void sample_false(struct reply *r) { reply_bool(r, false); }

static void sample_bignum(struct reply *r) {
    reply_big_number(r, LIT("1234567999999999999999999999999999999"));
}

static void sample_array(struct reply *r) {
    reply_array(r, 3);
    for (int i = 0; i < 3; i++) reply_int(r, i);
}

static void sample_set(struct reply *r) {
    reply_set(r, 3);
    for (int i = 0; i < 3; i++) reply_int(r, i);
}

static void sample_map(struct reply *r) {
    reply_map(r, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(r, i);
        reply_bool(r, i == 1);
    }
}

static void sample_attrib(struct reply *r) {
    reply_attribute(r, 1);
    if (r->protocol != 2) {
        reply_bulk(r, LIT("key-popularity"));
        reply_array(r, 2);
        reply_bulk(r, LIT("key:123"));
        reply_int(r, 90);
    }
    reply_bulk(r, LIT("Some real reply following the attribute"));
}

/* The push comes between two replies: behind this one. */
static void sample_push(struct reply *r) {
    if (r->protocol == 2) {
        reply_error_text(r, LIT("ERR RESP2 is not supported by this command"));
        return;
    }
    reply_bulk(r, LIT("Some real reply following the push reply"));
    reply_push(r, 2);
    reply_bulk(r, LIT("server-cpu-usage"));
    reply_int(r, 42);
}

static void sample_verbatim(struct reply *r) { reply_verbatim(r, "txt", LIT("This is a verbatim\nstring")); }

/* DEBUG PROTOCOL type */
static void debug_protocol(struct call *c) {
    static const struct {
        const char *name;
        void (*write)(struct reply *r);
    } samples[] = {
        { "string", sample_string }, { "integer", sample_integer },   { "double", sample_double },
        { "bignum", sample_bignum }, { "null", sample_null },         { "array", sample_array },
        { "set", sample_set },       { "map", sample_map },           { "attrib", sample_attrib },
        { "push", sample_push },     { "verbatim", sample_verbatim }, { "true", sample_true },
        { "false", sample_false },
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        if (!call_is(c, 2, samples[i].name)) continue;
        samples[i].write(c->out);
        return;
    }
    reply_error_text(c->out,
                     LIT("ERR Wrong protocol type name. Please use one of the following: "
                         "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"));
}

/* ---- reply buffers ---- */

/* DEBUG REPLYBUFFER PEAK-RESET-TIME ms | NEVER | RESET, RESIZING 0 | 1. A reply takes blocks when it needs
 * them and gives them back when it is sent: there is no buffer whose size would have to be learned. */
static void debug_replybuffer(struct call *c) {
    int64_t ms;
    bool peak = call_is(c, 2, "PEAK-RESET-TIME") &&
                (call_is(c, 3, "NEVER") || call_is(c, 3, "RESET") || int64_parse(c->argv[3], &ms));
    bool resizing = call_is(c, 2, "RESIZING") && (call_is(c, 3, "0") || call_is(c, 3, "1"));
    if (peak || resizing)
        reply_ok(c->out);
    else
        reply_error(c->out, ERR_SYNTAX);
}

/* DEBUG CLIENT-ENFORCE-REPLY-LIST 0 | 1. Replies are lists of blocks anyway. */
static void debug_reply_list(struct call *c) {
    bool on;
    if (debug_read_switch(c, &on)) reply_ok(c->out);
}

/* ---- memory ---- */

#define CLASSES 34 /* up to 4 GB; bigger ones are in the last */

struct memory_class {
    size_t clients, bytes;
};

static void count_clients(struct memory_class classes[CLASSES]) {
    for (int worker = 0; worker < thread_worker_count; worker++) CLIENTS_OF(worker, client) {
            size_t bytes = client_memory(client), class = 0;
            if (client->flags & CLIENT_NO_EVICT) continue;
            while (class + 1 < CLASSES && bytes >= (size_t)2 << class) class ++;
            classes[class].clients++;
            classes[class].bytes += bytes;
        }
}

/* DEBUG CLIENT-EVICTION */
static void debug_client_eviction(struct call *c) {
    if (options.maxmemory_clients == 0) {
        reply_error_text(c->out, LIT("ERR maxmemory-clients is disabled."));
        return;
    }
    struct memory_class classes[CLASSES] = { { 0 } };
    struct buf text = { 0 };
    count_clients(classes);
    buf_printf(&text, "%20s %16s %10s\n", "at least (bytes)", "together (bytes)", "clients");
    for (size_t i = CLASSES; i-- > 0;)
        if (classes[i].clients)
            buf_printf(&text, "%20zu %16zu %10zu\n", (size_t)1 << i, classes[i].bytes, classes[i].clients);
    reply_verbatim(c->out, "txt", buf_slice(&text));
    buf_release(&text);
}

const struct debug_subcommand debug_client_rows[] = {
    { "CLIENT-ENFORCE-REPLY-LIST", 3, 3, debug_reply_list, "<0|1>",
      "Taken without effect: replies are lists of blocks anyway." },
    { "CLIENT-EVICTION", 2, 2, debug_client_eviction, "",
      "Tell how many clients that may be evicted take how much memory, the biggest first." },
    { "PROTOCOL", 3, 3, debug_protocol, "<type>", "Return a sample of a type of reply." },
    { "REPLYBUFFER", 4, 4, debug_replybuffer, "<PEAK-RESET-TIME <ms|NEVER|RESET>|RESIZING <0|1>>",
      "Taken without effect: a reply takes and gives back blocks as it needs them." },
    { NULL },
};
