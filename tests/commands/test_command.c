/* test_command.c: COMMAND over the wire. What it says of each command is compared with command_facts.tsv, a
 * table of facts that clients rely on: arity, flags, positions of keys, categories. New ones need rows. */
#include "../harness/fixture.h"
#include <stdio.h>
#include <stdlib.h>

#define FACTS "tests/commands/command_facts.tsv"
#define HEADER \
    "name\tarity\tflags\tfirst_key\tlast_key\tstep\tacl_categories\tsince\tgroup\tkey_specs\ttips\n"

/* ---- a command's facts as a line of the table ---- */

static const char *text_of(const struct node *n) { return n ? text_str(&n->bytes) : ""; }

static void append_joined(struct text *out, const struct node *list) {
    for (size_t i = 0; i < list->count; i++) text_printf(out, "%s%s", i ? "," : "", text_of(list->items[i]));
}

static long long number_in(const struct node *map, const char *key) { return node_lookup(map, key)->number; }

static void append_begin(struct text *out, const struct node *begin) {
    const struct node *spec = node_lookup(begin, "spec");
    const char *type = text_of(node_lookup(begin, "type"));
    text_append_str(out, type);
    if (strcmp(type, "index") == 0) text_printf(out, ":%lld", number_in(spec, "index"));
    if (strcmp(type, "keyword") == 0)
        text_printf(out, ":%s:%lld", text_of(node_lookup(spec, "keyword")), number_in(spec, "startfrom"));
}

static void append_find(struct text *out, const struct node *find) {
    const struct node *spec = node_lookup(find, "spec");
    const char *type = text_of(node_lookup(find, "type"));
    text_append_str(out, type);
    if (strcmp(type, "range") == 0)
        text_printf(out, ":%lld:%lld:%lld", number_in(spec, "lastkey"), number_in(spec, "keystep"),
                    number_in(spec, "limit"));
    if (strcmp(type, "keynum") == 0)
        text_printf(out, ":%lld:%lld:%lld", number_in(spec, "keynumidx"), number_in(spec, "firstkey"),
                    number_in(spec, "keystep"));
}

static void append_specs(struct text *out, const struct node *specs) {
    for (size_t i = 0; i < specs->count; i++) {
        if (i) text_append_str(out, " ; ");
        append_joined(out, node_lookup(specs->items[i], "flags"));
        text_append_char(out, '|');
        append_begin(out, node_lookup(specs->items[i], "begin_search"));
        text_append_char(out, '|');
        append_find(out, node_lookup(specs->items[i], "find_keys"));
    }
}

static void append_upper(struct text *out, const char *name) {
    for (; *name; name++) text_append_char(out, *name >= 'a' && *name <= 'z' ? (char)(*name - 32) : *name);
}

/* `info` is an element of COMMAND's reply, `docs` the same command's map of COMMAND DOCS. */
static void append_facts(struct text *out, const struct node *info, const struct node *docs) {
    assert_int_equal(info->count, 10);
    append_upper(out, text_of(info->items[0]));
    text_printf(out, "\t%lld\t", (long long)info->items[1]->number);
    append_joined(out, info->items[2]);
    for (int i = 3; i <= 5; i++) text_printf(out, "\t%lld", (long long)info->items[i]->number);
    text_append_char(out, '\t');
    append_joined(out, info->items[6]);
    text_printf(out, "\t%s\t%s\t", text_of(node_lookup(docs, "since")), text_of(node_lookup(docs, "group")));
    append_specs(out, info->items[8]);
    text_append_char(out, '\t');
    append_joined(out, info->items[7]);
    text_append_char(out, '\n');
}

static void append_with_children(struct text *out, const struct node *info, const struct node *docs) {
    append_facts(out, info, docs);
    const struct node *children = info->items[9], *child_docs = node_lookup(docs, "subcommands");
    for (size_t i = 0; i < children->count; i++)
        append_with_children(out, children->items[i],
                             node_lookup(child_docs, text_of(children->items[i]->items[0])));
}

/* ---- comparing ---- */

static void read_facts(struct text *out) {
    FILE *f = fopen(FACTS, "r");
    if (!f) fail_msg("can't open %s: run tests from the project's folder", FACTS);
    char part[4096];
    for (size_t got; (got = fread(part, 1, sizeof part, f)) > 0;) text_append(out, part, got);
    fclose(f);
}

/* Every line of `a` is in `b`. */
static void assert_lines_in(const struct text *a, const struct text *b, const char *message) {
    const char *line = text_str(a);
    for (const char *end; (end = strchr(line, '\n')); line = end + 1) {
        struct text needle = { 0 };
        text_append_char(&needle, '\n');
        text_append(&needle, line, (size_t)(end - line) + 1);
        bool found = line == text_str(a) || strstr(text_str(b), text_str(&needle));
        if (!found) fail_msg("%s:%s", message, text_str(&needle));
        text_release(&needle);
    }
}

static void check_facts(struct client *c) {
    struct text got = { 0 }, wanted = { 0 };
    struct node *all = client_ask_node(c, "COMMAND"), *docs = client_ask_node(c, "COMMAND DOCS");
    text_append_str(&got, HEADER);
    for (size_t i = 0; i < all->count; i++)
        append_with_children(&got, all->items[i], node_lookup(docs, text_of(all->items[i]->items[0])));
    read_facts(&wanted);
    assert_lines_in(&got, &wanted, "COMMAND says what the table of facts does not");
    assert_lines_in(&wanted, &got, "the table of facts says what COMMAND does not");
    node_free(all);
    node_free(docs);
    text_release(&got);
    text_release(&wanted);
}

static void facts_of_all_commands_are_as_clients_know_them(void **state) {
    check_facts(fixture_client(state));
}

static void facts_are_the_same_in_resp3(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO 3", "...");
    check_facts(c);
}

/* ---- forms ---- */

static void info_has_sets_and_maps_in_resp3(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO 3", "...");
    assert_reply(c, "COMMAND INFO get nosuch",
                 "*[*[$\"get\", :2, ~[+readonly, +fast], :1, :1, :1, ~[+@read, +@string, +@fast], ~[], "
                 "~[%{$\"flags\": ~[+RO, +access], $\"begin_search\": %{$\"type\": $\"index\", $\"spec\": "
                 "%{$\"index\": :1}}, "
                 "$\"find_keys\": %{$\"type\": $\"range\", $\"spec\": %{$\"lastkey\": :0, $\"keystep\": :1, "
                 "$\"limit\": "
                 ":0}}}], ~[]], _]");
}

static void info_lists_subcommands_and_finds_them_by_full_name(void **state) {
    static const struct exchange rows[] = {
        { "COMMAND INFO nosuch", "*[$-1]" },
        { "COMMAND INFO CONFIG|GET", "*[*[$\"config|get\", :-3, *[+admin, +noscript, +loading, +stale], :0, "
                                     ":0, :0, *[+@admin, +@slow, +@dangerous], *[], "
                                     "*[], *[]]]" },
        { "COMMAND INFO config|nosuch", "*[$-1]" },
        { "COMMAND INFO config",
          "*[*[$\"config\", :-2, *[], :0, :0, :0, *[+@slow], *[], *[], *[*[$\"config|get\", ..." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void count_list_and_filters_agree(void **state) {
    struct client *c = fixture_client(state);
    struct node *all = client_ask_node(c, "COMMAND");
    assert_int_equal(client_ask_int(c, "COMMAND COUNT"), all->count);
    struct node *list = client_ask_node(c, "COMMAND LIST");
    assert_true(list->count > all->count); /* subcommands too */
    node_free(all);
    node_free(list);
    assert_reply_sorted(c, "COMMAND LIST FILTERBY ACLCAT TRANSACTION",
                        "*[$\"discard\", $\"exec\", $\"multi\", $\"unwatch\", $\"watch\"]");
    assert_reply_sorted(c, "COMMAND LIST FILTERBY PATTERN CONFIG|re*",
                        "*[$\"config|resetstat\", $\"config|rewrite\"]");
    assert_reply(c, "COMMAND LIST FILTERBY ACLCAT nosuch", "*[]");
    assert_reply(c, "COMMAND LIST FILTERBY MODULE nosuch", "*[]");
    assert_reply(c, "COMMAND LIST FILTERBY FOO x", "-ERR syntax error");
    assert_reply(c, "COMMAND LIST FILTERBY PATTERN", "-ERR syntax error");
    assert_reply(c, "COMMAND LIST PATTERN x*", "-ERR syntax error");
}

static void getkeys_finds_the_keys(void **state) {
    static const struct exchange rows[] = {
        { "COMMAND GETKEYS GET k", "*[$\"k\"]" },
        { "COMMAND GETKEYS mset a 1 b 2", "*[$\"a\", $\"b\"]" },
        { "COMMAND GETKEYS MEMORY USAGE k", "*[$\"k\"]" },
        { "COMMAND GETKEYSANDFLAGS RENAME a b",
          "*[*[$\"a\", *[+RW, +access, +delete]], *[$\"b\", *[+OW, +update]]]" },
        { "COMMAND GETKEYS GET", "-ERR Invalid number of arguments specified for command" },
        { "COMMAND GETKEYS NOSUCH a", "-ERR Invalid command specified" },
        { "COMMAND GETKEYS CONFIG NOSUCH", "-ERR Invalid command specified" },
        { "COMMAND GETKEYS PING", "-ERR The command has no key arguments" },
        { "COMMAND GETKEYSANDFLAGS PING", "-ERR The command has no key arguments" },
        { "COMMAND GETKEYS SPUBLISH c m", "-ERR The command has no key arguments" },
        { "COMMAND GETKEYS", "-ERR wrong number of arguments for 'command|getkeys' command" },
        { "COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP." },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

#define ONE_KEY(flags) "*[*[$\"k\", *[" flags "]]]"
#define OVERWRITES ONE_KEY("+OW, +update")
#define READS_AND_WRITES ONE_KEY("+RW, +access, +update")
#define ONLY_READS ONE_KEY("+RO, +access")

static void flags_of_keys_tell_what_this_call_does(void **state) {
    static const struct exchange rows[] = {
        { "COMMAND GETKEYSANDFLAGS SET k v", OVERWRITES },
        { "COMMAND GETKEYSANDFLAGS SET k GET", OVERWRITES },
        { "COMMAND GETKEYSANDFLAGS SET k v NX EX 10", OVERWRITES },
        { "COMMAND GETKEYSANDFLAGS SET k v get", READS_AND_WRITES },
        { "COMMAND GETKEYSANDFLAGS SET k v IFEQ x", READS_AND_WRITES },
        { "COMMAND GETKEYSANDFLAGS SET k v IFEQ x GET", READS_AND_WRITES },
        { "COMMAND GETKEYSANDFLAGS BITFIELD k", ONLY_READS },
        { "COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0 get u8 8", ONLY_READS },
        { "COMMAND GETKEYSANDFLAGS BITFIELD k OVERFLOW SAT GET u8 0", ONLY_READS },
        { "COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0 SET u8 0 1", READS_AND_WRITES },
        { "COMMAND GETKEYSANDFLAGS BITFIELD k OVERFLOW SAT INCRBY u8 0 1", READS_AND_WRITES },
        { "COMMAND GETKEYS SET k v GET", "*[$\"k\"]" },
        { "COMMAND GETKEYS BITFIELD k GET u8 0", "*[$\"k\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- DOCS ---- */

static void docs_tell_arguments_as_a_tree(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO 3", "...");
    assert_reply(
        c, "COMMAND DOCS expire nosuch",
        "%{$\"expire\": %{$\"summary\": ..., $\"since\": $\"1.0.0\", $\"group\": $\"generic\", "
        "$\"complexity\": ..., "
        "$\"arguments\": *["
        "%{$\"name\": $\"key\", $\"type\": $\"key\", $\"display_text\": $\"key\", $\"key_spec_index\": :0}, "
        "%{$\"name\": $\"seconds\", $\"type\": $\"integer\", $\"display_text\": $\"seconds\"}, "
        "%{$\"name\": $\"condition\", $\"type\": $\"oneof\", $\"flags\": ~[+optional], $\"arguments\": *["
        "%{$\"name\": $\"nx\", $\"type\": $\"pure-token\", $\"display_text\": $\"nx\", $\"token\": $\"NX\"}, "
        "...");
}

static void docs_tell_repetition_blocks_and_tokens(void **state) {
    static const struct exchange rows[] = {
        { "COMMAND DOCS del",
          "*[$\"del\", ...*[*[$\"name\", $\"key\", $\"type\", $\"key\", $\"display_text\", $\"key\", "
          "$\"key_spec_index\", :0, $\"flags\", *[+multiple]]]]]" },
        { "COMMAND DOCS mset",
          "...*[*[$\"name\", $\"key_value\", $\"type\", $\"block\", $\"flags\", *[+multiple], "
          "$\"arguments\", *[*[$\"name\", $\"key\", ...*[$\"name\", $\"value\", $\"type\", $\"string\"..." },
        { "COMMAND DOCS scan",
          "...*[$\"name\", $\"pattern\", $\"type\", $\"pattern\", $\"display_text\", $\"pattern\", "
          "$\"token\", $\"MATCH\", $\"flags\", *[+optional]]..." },
        { "COMMAND DOCS hello",
          "...$\"name\", $\"username_password\", $\"type\", $\"block\", $\"token\", $\"AUTH\"..." },
        { "COMMAND DOCS renamenx",
          "...$\"name\", $\"newkey\", $\"type\", $\"key\", $\"display_text\", $\"newkey\", "
          "$\"key_spec_index\", :1]]]]" },
        { "COMMAND DOCS incrbyfloat", "...$\"name\", $\"increment\", $\"type\", $\"double\"..." },
        { "COMMAND DOCS command|info",
          "...$\"name\", $\"command-name\", $\"type\", $\"string\", $\"display_text\", "
          "$\"command-name\", $\"flags\", *[+optional, +multiple]]]]]" },
        { "COMMAND DOCS command|list",
          "...*[*[$\"name\", $\"filterby\", $\"type\", $\"oneof\", $\"token\", $\"FILTERBY\", "
          "$\"flags\", *[+optional], ..." },
        { "COMMAND DOCS slowlog|len",
          "...$\"doc_flags\", *[+deprecated], $\"deprecated_since\", $\"8.1.0\", ..." },
        { "COMMAND DOCS config", "...$\"subcommands\", *[$\"config|get\", *[$\"summary\"..." },
        { "COMMAND DOCS geosearch",
          "...*[$\"name\", $\"option\", $\"type\", $\"oneof\", $\"flags\", *[+optional], $\"arguments\", "
          "*[*[$\"name\", $\"member\", ...*[$\"name\", $\"option\", $\"type\", $\"oneof\", $\"arguments\", "
          "*[*[$\"name\", $\"radius_unit\", ...$\"token\", $\"BYRADIUS\", ...$\"token\", $\"BYBOX\", "
          "...$\"token\", $\"BYPOLYGON\", ..." },
        { "COMMAND DOCS commandlog|len",
          "...*[*[$\"name\", $\"type\", $\"type\", $\"oneof\", $\"arguments\", *[*[$\"name\", $\"slow\", "
          "$\"type\", $\"pure-token\", ...$\"token\", $\"LARGE-REQUEST\"], "
          "*[...$\"token\", $\"LARGE-REPLY\"]]]]]]" },
        { "COMMAND DOCS nosuch", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(facts_of_all_commands_are_as_clients_know_them),
        FIXTURE_TEST(facts_are_the_same_in_resp3),
        FIXTURE_TEST(info_has_sets_and_maps_in_resp3),
        FIXTURE_TEST(info_lists_subcommands_and_finds_them_by_full_name),
        FIXTURE_TEST(count_list_and_filters_agree),
        FIXTURE_TEST(getkeys_finds_the_keys),
        FIXTURE_TEST(flags_of_keys_tell_what_this_call_does),
        FIXTURE_TEST(docs_tell_arguments_as_a_tree),
        FIXTURE_TEST(docs_tell_repetition_blocks_and_tokens),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
