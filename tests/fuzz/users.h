/* users.h: what the fuzzers of users share: all commands, and texts of rules that are built from the input,
 * because plain bytes seldom become a rule. */
#ifndef TESTS_FUZZ_USERS_H
#define TESTS_FUZZ_USERS_H

#include "trivet/base/buf.h"
#include "trivet/base/log.h"
#include "trivet/base/thread.h"
#include "trivet/commands/groups.h"
#include "trivet/engine/access/permission.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void users_fuzz_begin(void) {
    log_set_level(LOG_LEVEL_NOTHING);
    thread_worker_index = 0;
    thread_worker_count = 1;
    options_init();
    for (const struct command_group *g = command_groups; g->name; g++)
        if (!registry_add(g->name, g->rows)) abort();
}

/* ---- texts ---- */

static const char *const rule_atoms[] = {
    "on",         "off",         "nopass",       "resetpass",       "reset",        "sanitize-payload",
    "skip-sanitize-payload",     "allkeys",      "resetkeys",       "~*",           "~a",
    "%R~b",       "%W~b",        "%RW~*",        "%R~*",            "%W~*",         "%rw~x)",
    "~\"q",       "~'",          "~(",           "~",               "&*",           "&c",
    "&c*",        "resetchannels", "allchannels", "+@all",          "-@all",        "+get",
    "-get",       "+@read",      "-@dangerous",  "+config",         "-config|set",  "+config|get",
    "+select|0",  "+set|x)",     "-select",      "allcommands",     "nocommands",   "db=0",
    "db=1,2",     "alldbs",      "resetdbs",     ">p",              "<p",           "clearselectors",
    "(",          ")",           "(+get",        "~a)",             "(~a",          "+set)",
    "(+@all ~*)", "()",          "(~\"a\")",     "\"",              "user",         "default",
    "#148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",            "+acl|setuser",
};

struct source {
    const uint8_t *at, *end;
};

static uint8_t next_byte(struct source *s) { return s->at < s->end ? *s->at++ : 0; }

/* Often a whole rule, sometimes a few bytes of the input. */
static void write_rule(struct source *s, struct buf *out) {
    uint8_t choice = next_byte(s);
    if (choice < 224) {
        buf_append(out, slice_of(rule_atoms[choice % COUNT_OF(rule_atoms)]));
        return;
    }
    for (int left = choice % 8 + 1; left > 0 && s->at < s->end; left--)
        buf_append_byte(out, (char)next_byte(s));
}

/* ---- two users are the same ---- */

static void assert_same(bool same) {
    if (!same) abort();
}

static void describe(const struct user *u, struct buf *out) {
    buf_clear(out);
    user_describe_line(u, out);
}

/* The same answers about every command, with a few keys, channels and databases. */
static void assert_same_answers(const struct user *a, const struct user *b) {
    static const struct slice words[] = { LIT_INIT("a"), LIT_INIT("b"), LIT_INIT("c*"), LIT_INIT("1"),
                                          LIT_INIT("x)") };
    assert_same(a->is_unlimited == b->is_unlimited);
    for (uint32_t id = 0; id < registry_ids(); id++) {
        const struct command *c = registry_by_id(id);
        struct slice argv[6] = { LIT_INIT("name") };
        for (size_t first = 0; first < COUNT_OF(words); first += 2) {
            for (size_t i = 1; i < COUNT_OF(argv); i++) argv[i] = words[(first + i) % COUNT_OF(words)];
            size_t argc = c->arity > 0 ? (size_t)c->arity : COUNT_OF(argv);
            if (argc > COUNT_OF(argv) || !command_arity_fits(c, argc)) continue;
            struct verdict va = permission_ask(a, c, argv, argc, first / 2 % 2);
            struct verdict vb = permission_ask(b, c, argv, argc, first / 2 % 2);
            assert_same(va.denial == vb.denial && va.argument == vb.argument);
        }
    }
}

#endif
