/* client_tracking.c: CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR. Their rows are in client.c. */
#include "client.h"
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/commands/arguments/refuse.h"
#include "trivet/engine/client/client.h"
#include "trivet/engine/client/tracking.h"

/* The client must be there now; false after replying that it is not. */
static bool read_redirect(struct call *c, struct slice text, struct tracking_options *o) {
    if (o->redirect) return refuse_text(c, "ERR A client can only redirect to a single other client");
    int64_t id;
    if (!int64_parse(text, &id)) {
        reply_error(c->out, ERR_NOT_INT);
        return false;
    }
    const struct client *target = id > 0 ? client_find_anywhere((uint64_t)id) : NULL;
    if (!target) return refuse_text(c, "ERR The client ID you want redirect to does not exist");
    o->redirect = target->id;
    o->redirect_worker = target->worker;
    return true;
}

/* Reads everything behind ON or OFF. `prefixes` has room for all arguments. False after replying an error. */
static bool read_options(struct call *c, struct tracking_options *o, struct slice *prefixes) {
    for (size_t i = 3; i < c->argc; i++) {
        bool has_more = i + 1 < c->argc;
        if (call_is(c, i, "REDIRECT") && has_more) {
            if (!read_redirect(c, c->argv[++i], o)) return false;
        } else if (call_is(c, i, "BCAST")) {
            o->broadcast = true;
        } else if (call_is(c, i, "OPTIN")) {
            o->opt_in = true;
        } else if (call_is(c, i, "OPTOUT")) {
            o->opt_out = true;
        } else if (call_is(c, i, "NOLOOP")) {
            o->no_loop = true;
        } else if (call_is(c, i, "PREFIX") && has_more) {
            prefixes[o->prefix_count++] = c->argv[++i];
        } else {
            return refuse_syntax(c);
        }
    }
    o->prefixes = prefixes;
    return true;
}

/* May these options be, and follow on the ones the client has? */
static bool check_options(struct call *c, const struct tracking_options *o) {
    struct tracking_state now = tracking_state(c->client);
    if (!o->broadcast && o->prefix_count > 0)
        return refuse_text(c, "ERR PREFIX option requires BCAST mode to be enabled");
    if (now.on && now.broadcast != o->broadcast)
        return refuse_text(
            c, "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
               "re-enabling it with a different mode.");
    if (o->broadcast && (o->opt_in || o->opt_out))
        return refuse_text(c, "ERR OPTIN and OPTOUT are not compatible with BCAST");
    if (o->opt_in && o->opt_out)
        return refuse_text(c, "ERR You can't specify both OPTIN mode and OPTOUT mode");
    if ((o->opt_in && now.opt_out) || (o->opt_out && now.opt_in))
        return refuse_text(
            c, "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
               "re-enabling it with a different mode.");
    return true;
}

static bool overlap(struct slice a, struct slice b) {
    return slice_starts_with(a, b) || slice_starts_with(b, a);
}

static bool refuse_overlap(struct call *c, struct slice a, const char *whose, struct slice b) {
    reply_error_printf(
        c->out,
        "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not "
        "overlap.",
        SLICE_ARG(a), whose, SLICE_ARG(b));
    return false;
}

/* Looks among the client's prefixes for one that overlaps. */
struct collision {
    struct slice wanted, with;
    bool found;
};

static void look_for_overlap(void *arg, struct slice prefix) {
    struct collision *collision = arg;
    if (collision->found || !overlap(collision->wanted, prefix)) return;
    collision->found = true;
    collision->with = prefix;
}

static bool check_prefixes(struct call *c, const struct tracking_options *o) {
    for (size_t i = 0; i < o->prefix_count; i++) {
        struct collision collision = { .wanted = o->prefixes[i] };
        tracking_prefixes(c->client, look_for_overlap, &collision);
        if (collision.found) return refuse_overlap(c, o->prefixes[i], "an existing", collision.with);
        for (size_t k = i + 1; k < o->prefix_count; k++)
            if (overlap(o->prefixes[i], o->prefixes[k]))
                return refuse_overlap(c, o->prefixes[i], "another provided", o->prefixes[k]);
    }
    return true;
}

/* CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP] */
void cmd_client_tracking(struct call *c) {
    struct tracking_options o = { 0 };
    struct slice *prefixes = mem_alloc(c->argc * sizeof *prefixes);
    if (read_options(c, &o, prefixes)) {
        if (call_is(c, 2, "ON")) {
            if (check_options(c, &o) && check_prefixes(c, &o)) {
                tracking_start(c->client, &o);
                reply_ok(c->out);
            }
        } else if (call_is(c, 2, "OFF")) {
            tracking_stop(c->client);
            reply_ok(c->out);
        } else {
            reply_error(c->out, ERR_SYNTAX);
        }
    }
    mem_free(prefixes);
}

/* CLIENT CACHING YES|NO */
void cmd_client_caching(struct call *c) {
    struct tracking_state now = tracking_state(c->client);
    bool yes = call_is(c, 2, "YES");
    if (!now.on)
        refuse_text(c,
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
                    "OPTOUT mode "
                    "enabled");
    else if (!yes && !call_is(c, 2, "NO"))
        reply_error(c->out, ERR_SYNTAX);
    else if (yes && !now.opt_in)
        refuse_text(c, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    else if (!yes && !now.opt_out)
        refuse_text(c, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    else {
        tracking_caching(c->client, yes);
        reply_ok(c->out);
    }
}

struct counted {
    struct reply *out;
    size_t count;
};

static void reply_prefix(void *arg, struct slice prefix) {
    struct counted *list = arg;
    reply_bulk(list->out, prefix);
    list->count++;
}

static void reply_flags(struct call *c, const struct tracking_state *now) {
    const struct {
        bool set;
        const char *word;
    } flags[] = {
        { !now->on, "off" },
        { now->on, "on" },
        { now->broadcast, "bcast" },
        { now->opt_in, "optin" },
        { now->caching_yes, "caching-yes" },
        { now->opt_out, "optout" },
        { now->caching_no, "caching-no" },
        { now->no_loop, "noloop" },
        { now->broken_redirect, "broken_redirect" },
    };
    size_t count = 0;
    struct chunk *at = reply_later(c->out);
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (!flags[i].set) continue;
        reply_bulk(c->out, slice_of(flags[i].word));
        count++;
    }
    reply_later_set(c->out, at, count);
}

/* CLIENT TRACKINGINFO */
void cmd_client_trackinginfo(struct call *c) {
    struct tracking_state now = tracking_state(c->client);
    reply_map(c->out, 3);
    reply_bulk(c->out, LIT("flags"));
    reply_flags(c, &now);
    reply_bulk(c->out, LIT("redirect"));
    reply_int(c->out, tracking_redirect(c->client));
    reply_bulk(c->out, LIT("prefixes"));
    struct counted list = { .out = c->out };
    struct chunk *at = reply_later(c->out);
    tracking_prefixes(c->client, reply_prefix, &list);
    reply_later_array(c->out, at, list.count);
}

/* CLIENT GETREDIR */
void cmd_client_getredir(struct call *c) { reply_int(c->out, tracking_redirect(c->client)); }
