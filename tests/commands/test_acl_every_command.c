/* test_acl_every_command.c: the registry's commands, each by an example of acl_examples.h: who may not run it
 * is told so and changes nothing; who may run it and nothing else gets past; and its keys are asked about as
 * its key specs say. */
#include "acl_examples.h"
#include "acl_support.h"
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A command, as COMMAND tells, and its example. */
struct subject {
    char name[48];
    bool writes;      /* flag `write` */
    bool is_always;   /* AUTH and the like are permitted to all */
    const char *line; /* the example */
    bool has_keys, needs_read, needs_write;
};

static struct subject subjects[1000];
static size_t subject_count;
static bool is_used[COUNT_OF(examples)];

/* ---- what there is ---- */

static bool flags_have(const struct node *flags, const char *name) {
    for (size_t i = 0; i < flags->count; i++)
        if (strcmp(text_str(&flags->items[i]->bytes), name) == 0) return true;
    return false;
}

/* "config|get" for "CONFIG GET hz", or "get" for "GET str", in which `words` counts. */
static void name_of(const char *line, int words, char *out, size_t room) {
    size_t at = 0;
    for (; *line && at < room - 1; line++) {
        if (*line == ' ' && --words == 0) break;
        out[at++] = *line == ' ' ? '|' : (char)tolower((unsigned char)*line);
    }
    out[at] = '\0';
}

static const char *example_of(const char *name) {
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        char its[128];
        name_of(examples[i], strchr(name, '|') ? 2 : 1, its, sizeof its);
        if (is_used[i] || strcmp(its, name) != 0) continue;
        is_used[i] = true;
        return examples[i];
    }
    fail_msg("acl_examples.h has no call of '%s'", name);
    return NULL;
}

static void ask_for_keys(struct client *c, struct subject *s) {
    struct node *keys = client_ask_node(c, "COMMAND GETKEYSANDFLAGS %s", s->line);
    s->has_keys = !node_is_error(keys);
    if (!s->has_keys) assert_string_equal(text_str(&keys->bytes), "ERR The command has no key arguments");
    for (size_t i = 0; s->has_keys && i < keys->count; i++) {
        const struct node *flags = keys->items[i]->items[1];
        s->needs_read |= flags_have(flags, "access");
        s->needs_write |=
            flags_have(flags, "insert") || flags_have(flags, "update") || flags_have(flags, "delete");
    }
    node_free(keys);
}

static void add(struct client *c, const struct node *info) {
    const struct node *children = info->items[9];
    for (size_t i = 0; i < children->count; i++) add(c, children->items[i]);
    bool is_container = children->count > 0 && info->items[1]->number < -1;
    if (is_container) return; /* it has no meaning without a subcommand */
    assert_true(subject_count < COUNT_OF(subjects));
    struct subject *s = &subjects[subject_count++];
    snprintf(s->name, sizeof s->name, "%s", text_str(&info->items[0]->bytes));
    s->writes = flags_have(info->items[2], "write");
    s->is_always = flags_have(info->items[2], "no_auth");
    s->line = example_of(s->name);
    ask_for_keys(c, s);
}

/* Children before their parents: an example of COMMAND alone must not be taken for one of COMMAND COUNT. */
static void read_registry(struct client *c) {
    if (subject_count > 0) return;
    struct node *all = client_ask_node(c, "COMMAND");
    for (size_t i = 0; i < all->count; i++) add(c, all->items[i]);
    node_free(all);
    for (size_t i = 0; i < COUNT_OF(examples); i++)
        if (!is_used[i]) fail_msg("nobody needs the example '%s'", examples[i]);
}

static bool is_idle(const char *name) {
    for (size_t i = 0; i < COUNT_OF(idle_commands); i++)
        if (strcmp(idle_commands[i], name) == 0) return true;
    return false;
}

/* ---- what has happened ---- */

static void prepare(struct client *c) {
    for (size_t i = 0; i < COUNT_OF(example_data); i++) client_queue(c, "%s", example_data[i]);
    client_flush(c);
    client_skip(c, COUNT_OF(example_data));
    assert_reply(c, "ACL DELUSER intruder", ":...");
    assert_reply(c, "ACL SETUSER victim on", "+OK");
}

/* All that examples change in the server, as text. The caller frees it. */
static char *look(struct client *c) {
    static const char *const questions[] = { "DEBUG DIGEST", "DBSIZE", "FUNCTION LIST", "CONFIG GET hz",
                                             "ACL USERS" };
    struct text seen = { 0 };
    for (size_t i = 0; i < COUNT_OF(questions); i++) text_printf(&seen, "%s\n", client_ask(c, questions[i]));
    return seen.ptr;
}

/* ---- asking ---- */

/* The answer to SYNC is no reply but a file, perhaps with empty lines before it. Takes nothing. */
static bool answers_with_data(struct client *u) {
    char first = '-';
    struct pollfd reading = { .fd = client_fd(u), .events = POLLIN };
    assert_int_equal(poll(&reading, 1, CLIENT_PATIENCE_MS), 1);
    assert_int_equal(recv(client_fd(u), &first, 1, MSG_PEEK), 1);
    return first != '-';
}

/* What a new connection of "u" with these rules hears. Valid until the next call. */
static const char *ask_as(void **state, const char *line, const char *rules) {
    static char reply[512];
    struct client *u = connect_with(state, rules);
    client_send(u, "%s", line);
    if (strcmp(line, "SYNC") == 0 && answers_with_data(u)) {
        client_close(u);
        return "(data)";
    }
    struct node *n = client_read(u);
    struct text text = { 0 };
    node_describe(n, &text);
    snprintf(reply, sizeof reply, "%s", text_str(&text));
    text_release(&text);
    node_free(n);
    client_close(u);
    return reply;
}

static void expect(const struct subject *s, const char *rules, const char *reply, const char *expected) {
    if (!text_matches(expected, reply))
        fail_msg("'%s' with rules '%s'\n expected %s\n got      %s", s->line, rules, expected, reply);
}

/* Denied in these words, and nothing has changed. */
static void is_denied(void **state, const struct subject *s, const char *rules, const char *expected) {
    struct client *c = fixture_client(state);
    char *before, *after;
    set_rules(c, rules); /* the user is seen among the users */
    before = look(c);
    expect(s, rules, ask_as(state, s->line, rules), expected);
    after = look(c);
    if (strcmp(before, after) != 0) fail_msg("'%s' was denied and changed something", s->line);
    free(before);
    free(after);
}

/* It gets past, whatever becomes of it then. */
static void is_permitted(void **state, const struct subject *s, const char *rules) {
    const char *reply = ask_as(state, s->line, rules);
    if (strstr(reply, "NOPERM")) expect(s, rules, reply, "(anything but NOPERM)");
}

static const char *rules_for(const char *format, const struct subject *s) {
    static char rules[128];
    const char *mark = strchr(format, '$');
    assert_non_null(mark);
    snprintf(rules, sizeof rules, "%.*s%.47s%s", (int)(mark - format), format, s->name, mark + 1);
    return rules;
}

static const struct subject *begin(void **state, size_t i) {
    read_registry(fixture_client(state));
    prepare(fixture_client(state));
    return &subjects[i];
}

/* ---- tests ---- */

static void without_the_command_it_is_refused_and_nothing_happens(void **state) {
    read_registry(fixture_client(state));
    for (size_t i = 0; i < subject_count; i++) {
        const struct subject *s = begin(state, i);
        char expected[256];
        if (s->is_always) {
            is_permitted(state, s, rules_for("~* &* +@all -$", s));
            is_permitted(state, s, "");
            continue;
        }
        snprintf(expected, sizeof expected, "-%sNOPERM User u has no permissions to run the '%s' command",
                 strcmp(s->name, "exec") == 0 ? "EXECABORT Transaction discarded because of: " : "", s->name);
        is_denied(state, s, rules_for("~* &* +@all -$", s), expected);
        is_denied(state, s, "~* &*", expected);
    }
}

static void with_the_command_alone_it_gets_past(void **state) {
    read_registry(fixture_client(state));
    for (size_t i = 0; i < subject_count; i++) {
        const struct subject *s = begin(state, i);
        struct client *c = fixture_client(state);
        const char *rules = rules_for("~* &* +$", s);
        set_rules(c, rules);
        char *before = look(c);
        is_permitted(state, s, rules);
        char *after = look(c);
        /* What is denied elsewhere would have been seen. */
        if (s->writes && !is_idle(s->name) && strcmp(before, after) == 0)
            fail_msg("'%s' changes nothing", s->line);
        free(before);
        free(after);
    }
}

static void keys_that_match_no_pattern_are_refused(void **state) {
    read_registry(fixture_client(state));
    size_t with_keys = 0;
    for (size_t i = 0; i < subject_count; i++) {
        if (!subjects[i].has_keys) continue;
        const struct subject *s = begin(state, i);
        is_denied(state, s, rules_for("~other* &* +$", s), NO_KEY);
        is_denied(state, s, rules_for("&* +$", s), NO_KEY);
        with_keys++;
    }
    assert_true(with_keys > 150);
}

static void reading_and_writing_are_told_apart_by_key_specs(void **state) {
    read_registry(fixture_client(state));
    for (size_t i = 0; i < subject_count; i++) {
        const struct subject *s = &subjects[i];
        if (!s->has_keys) continue;
        begin(state, i);
        if (s->needs_write)
            is_denied(state, s, rules_for("%R~* &* +$", s), NO_KEY);
        else
            is_permitted(state, s, rules_for("%R~* &* +$", s));
        begin(state, i);
        if (s->needs_read)
            is_denied(state, s, rules_for("%W~* &* +$", s), NO_KEY);
        else
            is_permitted(state, s, rules_for("%W~* &* +$", s));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(without_the_command_it_is_refused_and_nothing_happens),
        ACL_TEST(with_the_command_alone_it_gets_past),
        ACL_TEST(keys_that_match_no_pattern_are_refused),
        ACL_TEST(reading_and_writing_are_told_apart_by_key_specs),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
