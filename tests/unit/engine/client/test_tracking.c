/* Client-side caching: whose reads are remembered, who is told, and what is left in the tables. */
#include "../../../harness/loopback.h"
#include "../../../harness/text.h"
#include "trivet/engine/client/tracking.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define INVALID(key) ">[$\"invalidate\", *[$\"" key "\"]]"

static struct loopback *reader_with(const char *options) {
    struct loopback *l = loopback_open();
    loopback_ask(l, "HELLO 3");
    assert_string_equal(loopback_ask(l, "CLIENT TRACKING ON %s", options), "+OK");
    return l;
}

/* One client reads (or says something else), another writes "k". */
static void a_change_is_told_to_those_who_may_have_it_cached(void **state) {
    (void)state;
    static const struct {
        const char *options, *says[3];
        bool told;
    } rows[] = {
        { "", { "GET k" }, true },
        { "", { "MGET a k" }, true },
        { "", { "GET a" }, false },
        { "", { "SET k own" }, false }, /* a write reads nothing */
        { "", { "GETEX k" }, false },
        { "", { "GET k", "GET a" }, true },
        { "OPTIN", { "GET k" }, false },
        { "OPTIN", { "CLIENT CACHING YES", "GET k" }, true },
        { "OPTIN", { "CLIENT CACHING YES", "GET a", "GET k" }, false },
        { "OPTIN", { "CLIENT CACHING YES", "CLIENT ID", "GET k" }, true },
        { "OPTOUT", { "GET k" }, true },
        { "OPTOUT", { "CLIENT CACHING NO", "GET k" }, false },
        { "OPTOUT", { "CLIENT CACHING NO", "PING", "GET k" }, true },
        { "BCAST", { "GET a" }, true }, /* of all keys, read or not */
        { "BCAST PREFIX k", { NULL }, true },
        { "BCAST PREFIX kk", { "GET k" }, false },
        { "BCAST PREFIX a PREFIX k", { NULL }, true },
        { "", { "GET k", "CLIENT TRACKING OFF" }, false },
        { "", { "GET k", "CLIENT TRACKING ON OPTIN" }, true },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = reader_with(rows[i].options), *writer = loopback_open();
        for (size_t s = 0; s < 3 && rows[i].says[s]; s++) loopback_ask(l, "%s", rows[i].says[s]);
        loopback_next(l);
        assert_says(writer, "SET k v", "+OK");
        assert_hears(l, rows[i].told ? INVALID("k") : "");
        loopback_close(l);
        loopback_close(writer);
        assert_int_equal(atomic_load(&tracking_clients), 0);
        assert_int_equal(tracking_total_keys() + tracking_total_items() + tracking_total_prefixes(), 0);
    }
}

static void a_reader_is_told_once(void **state) {
    (void)state;
    struct loopback *l = reader_with(""), *writer = loopback_open();
    loopback_ask(l, "GET k");
    loopback_ask(l, "GET k");
    assert_int_equal(tracking_total_items(), 1);
    assert_says(writer, "SET k 1", "+OK");
    assert_hears(l, INVALID("k"));
    assert_says(writer, "SET k 2", "+OK");
    assert_hears(l, "");
    loopback_close(l);
    loopback_close(writer);
}

static void own_changes_are_told_unless_the_client_wants_none(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        { "", "+OK\n" INVALID("k") },
        { "NOLOOP", "+OK" },
        { "BCAST", "+OK\n" INVALID("k") },
        { "BCAST NOLOOP", "+OK" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = reader_with(rows[i][0]);
        loopback_ask(l, "GET k");
        assert_says(l, "SET k v", rows[i][1]);
        loopback_close(l);
    }
}

static void a_flush_makes_everything_invalid(void **state) {
    (void)state;
    struct loopback *l = reader_with(""), *other = reader_with("BCAST PREFIX x"), *writer = loopback_open();
    loopback_ask(l, "MGET a b c");
    assert_int_equal(tracking_total_keys(), 3);
    assert_says(writer, "FLUSHALL", "+OK");
    assert_hears(l, ">[$\"invalidate\", _]");
    assert_hears(other, ">[$\"invalidate\", _]");
    assert_int_equal(tracking_total_keys() + tracking_total_items(), 0);
    loopback_close(l);
    loopback_close(other);
    loopback_close(writer);
}

static void the_table_is_kept_under_its_limit(void **state) {
    (void)state;
    struct loopback *l = reader_with(""), *writer = loopback_open();
    assert_says(writer, "CONFIG SET tracking-table-max-keys 10", "+OK");
    for (int i = 0; i < 30; i++) loopback_ask(l, "GET key:%d", i);
    assert_int_equal(tracking_total_keys(), 10);
    loopback_next(l);
    assert_says(writer, "CONFIG SET tracking-table-max-keys 4", "+OK");
    tracking_trim();
    assert_int_equal(tracking_total_keys(), 4);
    assert_int_equal(tracking_total_items(), 4);
    loopback_turn();
    size_t told = 0; /* who may have cached what was dropped has to know */
    for (const char *at = loopback_next(l); (at = strstr(at, "invalidate")); at++) told++;
    assert_int_equal(told, 6);
    assert_says(writer, "CONFIG SET tracking-table-max-keys 1000000", "+OK");
    loopback_close(l);
    loopback_close(writer);
}

static void prefixes_are_shared_between_clients(void **state) {
    (void)state;
    struct loopback *a = reader_with("BCAST PREFIX x PREFIX y"), *b = reader_with("BCAST PREFIX y"),
                    *writer = loopback_open();
    assert_int_equal(tracking_total_prefixes(), 2);
    assert_says(writer, "SET y:1 v", "+OK");
    assert_hears(a, INVALID("y:1"));
    assert_hears(b, INVALID("y:1"));
    loopback_close(a);
    assert_int_equal(tracking_total_prefixes(), 1);
    assert_says(writer, "SET x:1 v", "+OK");
    assert_says(writer, "SET y:2 v", "+OK");
    assert_hears(b, INVALID("y:2"));
    loopback_close(b);
    loopback_close(writer);
}

/* ---- redirecting ---- */

static void a_redirected_notice_goes_to_the_other_client(void **state) {
    (void)state;
    struct loopback *to = loopback_open(), *writer = loopback_open(), *l;
    char options[64];
    snprintf(options, sizeof options, "REDIRECT %llu", (unsigned long long)loopback_client(to)->id);
    loopback_ask(to, "SUBSCRIBE __redis__:invalidate");
    l = reader_with(options);
    assert_int_equal(tracking_redirect(loopback_client(l)), loopback_client(to)->id);
    loopback_ask(l, "GET k");
    assert_says(writer, "SET k v", "+OK");
    assert_hears(l, "");
    assert_hears(to, "*[$\"message\", $\"__redis__:invalidate\", *[$\"k\"]]");
    loopback_ask(l, "GET k");
    loopback_close(to);
    assert_says(writer, "SET k w", "+OK");
    loopback_turn();
    assert_true(loopback_client(l)->flags & CLIENT_TRACKING_BROKEN_REDIRECT);
    assert_true(tracking_state(loopback_client(l)).broken_redirect);
    assert_true(text_matches(">[$\"tracking-redir-broken\", :...]", loopback_next(l)));
    loopback_close(l);
    loopback_close(writer);
}

static void without_push_or_redirect_there_is_no_way_to_tell(void **state) {
    (void)state;
    struct loopback *l = loopback_open(), *writer = loopback_open();
    assert_says(l, "CLIENT TRACKING ON", "+OK");
    loopback_ask(l, "GET k");
    assert_says(writer, "SET k v", "+OK");
    assert_hears(l, "");
    loopback_close(l);
    loopback_close(writer);
}

/* ---- looking ---- */

static void append_prefix(void *arg, struct slice prefix) {
    text_append(arg, prefix.ptr, prefix.len);
    text_append_char(arg, ',');
}

static void the_state_is_what_was_asked_for(void **state) {
    (void)state;
    static const struct {
        const char *options, *then, *prefixes;
        struct tracking_state expected;
    } rows[] = {
        { "", "PING", "", { .on = true } },
        { "BCAST PREFIX b PREFIX a", "PING", "a,b,", { .on = true, .broadcast = true } },
        { "BCAST", "PING", ",", { .on = true, .broadcast = true } },
        { "OPTIN NOLOOP", "PING", "", { .on = true, .opt_in = true, .no_loop = true } },
        { "OPTIN", "CLIENT CACHING YES", "", { .on = true, .opt_in = true, .caching_yes = true } },
        { "OPTOUT", "CLIENT CACHING NO", "", { .on = true, .opt_out = true, .caching_no = true } },
        { "", "CLIENT TRACKING OFF", "", { 0 } },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loopback *l = reader_with(rows[i].options);
        struct text prefixes = { 0 };
        loopback_ask(l, "%s", rows[i].then);
        struct tracking_state now = tracking_state(loopback_client(l));
        assert_memory_equal(&now, &rows[i].expected, sizeof now);
        assert_int_equal(tracking_is_broadcast(loopback_client(l)), rows[i].expected.broadcast);
        assert_int_equal(tracking_redirect(loopback_client(l)), now.on ? 0 : -1);
        tracking_prefixes(loopback_client(l), append_prefix, &prefixes);
        assert_string_equal(text_str(&prefixes), rows[i].prefixes);
        text_release(&prefixes);
        loopback_close(l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(a_change_is_told_to_those_who_may_have_it_cached),
        LOOPBACK_TEST(a_reader_is_told_once),
        LOOPBACK_TEST(own_changes_are_told_unless_the_client_wants_none),
        LOOPBACK_TEST(a_flush_makes_everything_invalid),
        LOOPBACK_TEST(the_table_is_kept_under_its_limit),
        LOOPBACK_TEST(prefixes_are_shared_between_clients),
        LOOPBACK_TEST(a_redirected_notice_goes_to_the_other_client),
        LOOPBACK_TEST(without_push_or_redirect_there_is_no_way_to_tell),
        LOOPBACK_TEST(the_state_is_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
