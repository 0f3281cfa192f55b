/* test_acl_rules.c: ACL over the wire: how rules are read, what is refused, and how users are shown. */
#include "acl_support.h"

#define HASH_OF_P "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"   /* "p" */
#define HASH_OF_FOO "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" /* "foo" */

/* ---- what is shown ---- */

struct canonical_row {
    const char *rules, *line; /* the line without "user u " */
};

/* Says the rules to a fresh user, and what is shown to another: both are shown the same. */
static void check_canonical(struct client *c, const struct canonical_row *rows) {
    for (; rows->rules; rows++) {
        char command[2048], expected[1024];
        snprintf(command, sizeof command, "ACL SETUSER u reset %s", rows->rules);
        assert_reply(c, command, "+OK");
        snprintf(expected, sizeof expected,
                 "*[$\"user default on nopass sanitize-payload ~* &* +@all\", $\"user u %s\"]", rows->line);
        assert_reply(c, "ACL LIST", expected);
        snprintf(command, sizeof command, "ACL SETUSER u reset %s", rows->line);
        assert_reply(c, command, "+OK");
        assert_reply(c, "ACL LIST", expected);
    }
}

#define OFF "off sanitize-payload "
#define CLOSED OFF "resetchannels "

static void rules_of_the_user_itself_are_shown_in_a_fixed_order(void **state) {
    static const struct canonical_row rows[] = {
        { "", CLOSED "-@all" },
        { "on", "on sanitize-payload resetchannels -@all" },
        { "ON nopass", "on nopass sanitize-payload resetchannels -@all" },
        { "+get ~a &b nopass on", "on nopass sanitize-payload ~a resetchannels &b -@all +get" },
        { "on off", CLOSED "-@all" },
        { ">p", OFF "#" HASH_OF_P " resetchannels -@all" },
        { ">p >foo", OFF "#" HASH_OF_P " #" HASH_OF_FOO " resetchannels -@all" },
        { ">p >p", OFF "#" HASH_OF_P " resetchannels -@all" },
        { ">p #" HASH_OF_FOO " <p", OFF "#" HASH_OF_FOO " resetchannels -@all" },
        { ">p >foo !" HASH_OF_P, OFF "#" HASH_OF_FOO " resetchannels -@all" },
        { ">p nopass", "off nopass sanitize-payload resetchannels -@all" },
        { "nopass >p", OFF "#" HASH_OF_P " resetchannels -@all" },
        { "nopass resetpass", CLOSED "-@all" },
        { ">p resetpass", CLOSED "-@all" },
        { "skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all" },
        { "skip-sanitize-payload sanitize-payload", CLOSED "-@all" },
        { "on >p ~* &* +@all db=1 (+get ~x) skip-sanitize-payload reset", CLOSED "-@all" },
        { "\"\"", CLOSED "-@all" },
        { NULL, NULL },
    };
    check_canonical(fixture_client(state), rows);
}

static void keys_channels_and_databases_are_shown_in_the_order_given(void **state) {
    static const struct canonical_row rows[] = {
        { "~b ~a ~b", OFF "~b ~a resetchannels -@all" },
        { "~", OFF "~ resetchannels -@all" },
        { "%R~r %W~w %RW~rw %wr~wr", OFF "%R~r %W~w ~rw ~wr resetchannels -@all" },
        { "%R~a %W~a", OFF "~a resetchannels -@all" },
        { "%R~a %R~a", OFF "%R~a resetchannels -@all" },
        { "%R~*", OFF "%R~* resetchannels -@all" },
        { "%RW~*", OFF "~* resetchannels -@all" },
        { "~a %RW~*", OFF "~a %RW~* resetchannels -@all" },
        { "%RW~* ~a", OFF "%RW~* ~a resetchannels -@all" },
        { "%R~* ~a %W~*", OFF "%RW~* ~a resetchannels -@all" },
        { "allkeys", OFF "~* resetchannels -@all" },
        { "~a allkeys", OFF "~* resetchannels -@all" },
        { "~* allkeys ~*", OFF "~* resetchannels -@all" },
        { "~* resetkeys ~a", OFF "~a resetchannels -@all" },
        { "~a resetkeys", CLOSED "-@all" },
        { "&b &a &b", CLOSED "&b &a -@all" },
        { "&", CLOSED "& -@all" },
        { "allchannels", OFF "&* -@all" },
        { "&a &*", OFF "&* -@all" },
        { "&* resetchannels &a", CLOSED "&a -@all" },
        { "alldbs", CLOSED "-@all" },
        { "db=0", CLOSED "db=0 -@all" },
        { "DB=7,2,0", CLOSED "db=7,2,0 -@all" },
        { "db=1 db=2", CLOSED "db=2 -@all" },
        { "db=2147483647", CLOSED "db=2147483647 -@all" },
        { "db=1 alldbs", CLOSED "-@all" },
        { "resetdbs", CLOSED "resetdbs -@all" },
        { "db=1 resetdbs", CLOSED "resetdbs -@all" },
        { "~* &* db=1 +@all", OFF "~* &* db=1 +@all" },
        { NULL, NULL },
    };
    check_canonical(fixture_client(state), rows);
}

static void rules_for_commands_are_shown_as_they_came_without_what_they_overrule(void **state) {
    static const struct canonical_row rows[] = {
        { "+get +set -get", CLOSED "-@all +set -get" },
        { "-config|set +config", CLOSED "-@all +config" },
        { "+config -config|set", CLOSED "-@all +config -config|set" },
        { "+@all -@dangerous +keys", CLOSED "+@all -@dangerous +keys" },
        { "+eval -@scripting +eval", CLOSED "-@all -@scripting +eval" },
        { "+client -client|kill -client", CLOSED "-@all -client" },
        { "+psync +replconf +ping", CLOSED "-@all +psync +replconf +ping" }, /* a replica's, not here yet */
        { "+@all -cluster|nodes -READONLY -cluster", OFF "resetchannels +@all -readonly -cluster" },
        { "+GET +Config|SET +@ReaD", CLOSED "-@all +get +config|set +@read" },
        { "+get +get", CLOSED "-@all +get" },
        { "+@read -@read", CLOSED "-@all -@read" },
        { "+get +getex -get", CLOSED "-@all +getex -get" },
        { "allcommands", CLOSED "+@all" },
        { "+get allcommands", CLOSED "+@all" },
        { "+@all -get +@ALL", CLOSED "+@all" },
        { "+@all nocommands", CLOSED "-@all" },
        { "+get -@all", CLOSED "-@all" },
        { "+@all -@all +get", CLOSED "-@all +get" },
        { "+select|0 +select|1", CLOSED "-@all +select|0 +select|1" },
        { "+select|0 +select", CLOSED "-@all +select" },
        { "+select|0 -select", CLOSED "-@all -select" },
        { "+set|FOO", CLOSED "-@all +set|foo" },
        { NULL, NULL },
    };
    check_canonical(fixture_client(state), rows);
}

static void selectors_are_shown_last_each_in_parentheses(void **state) {
    static const struct canonical_row rows[] = {
        { "(+get)", CLOSED "-@all (resetchannels -@all +get)" },
        { "(~* +@read)", CLOSED "-@all (~* resetchannels -@all +@read)" },
        { "(~* &* +@all)", CLOSED "-@all (~* &* +@all)" },
        { "()", CLOSED "-@all (resetchannels -@all)" },
        { "( +get   ~a )", CLOSED "-@all (~a resetchannels -@all +get)" },
        { "\"(+get ~a)\"", CLOSED "-@all (~a resetchannels -@all +get)" },
        { "\"(+get\" ~a &c %R~b db=1,2 -set )",
          CLOSED "-@all (~a %R~b resetchannels &c db=1,2 -@all +get -set)" },
        { "(+get) ~x (+set) +del", OFF "~x resetchannels -@all +del (resetchannels -@all +get) "
                                       "(resetchannels -@all +set)" },
        { "(+get) (+set) clearselectors +del", CLOSED "-@all +del" },
        { "(+get) (+get)", CLOSED "-@all (resetchannels -@all +get) (resetchannels -@all +get)" },
        { NULL, NULL },
    };
    check_canonical(fixture_client(state), rows);
}

/* Only what can be said in a line of a file is taken. */
static void a_word_in_a_selector_that_no_line_could_repeat_is_refused(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u \"(+get ~a))\"", "-ERR Error in ACL SETUSER modifier '(+get ~a))': Syntax error" },
        { "ACL SETUSER u \"(~a) +get)\"", "-ERR Error in ACL SETUSER modifier '(~a) +get)': Syntax error" },
        { "ACL SETUSER u \"(~\\\"a\\\\\\\"b\\\")\"",
          "-ERR Error in ACL SETUSER modifier '...': Syntax error" },
        { "ACL SETUSER u \"(~\\\"a'b\\\")\"", "-ERR Error in ACL SETUSER modifier '...': Syntax error" },
        { "ACL SETUSER u \"(~\\\"a b\\\")\"", "-ERR Error in ACL SETUSER modifier '...': Syntax error" },
        { "ACL SETUSER u \"(~\\\"a)\"", "-ERR Error in ACL SETUSER modifier '(~\"a)': Syntax error" },
        { "ACL SETUSER u \"(~\\\"x\\\")\" ~a) \"~q\\\"q\"", "+OK" },
        { "ACL LIST", "*[$\"user d...\", $\"user u " OFF "~a) ~q\\\"q resetchannels -@all (~x resetchannels "
                      "-@all)\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- what is refused ---- */

#define AFTER_ALL(text, word, reset, list)                                                               \
    "-ERR Error in ACL SETUSER modifier '" text "': Adding a pattern after the * pattern (or the '" word \
    "' flag) is not valid and does not have any effect. Try '" reset                                     \
    "' to start with an empty list of " list
#define KEY_AFTER_ALL(text) AFTER_ALL(text, "allkeys", "resetkeys", "patterns")
#define CHANNEL_AFTER_ALL(text) AFTER_ALL(text, "allchannels", "resetchannels", "channels")
#define WRONG(text, why) "-ERR Error in ACL SETUSER modifier '" text "': " why
#define SYNTAX(text) WRONG(text, "Syntax error")
#define UNKNOWN(text) WRONG(text, "Unknown command or category name in ACL")
#define NO_PASSWORD(text) WRONG(text, "The password you are trying to remove from the user does not exist")
#define NO_HASH(text)                                                                                     \
    WRONG(text, "The password hash must be exactly 64 characters and contain only lowercase hexadecimal " \
                "characters")
#define NO_NAME "-ERR Usernames can't contain spaces or null characters"

static void a_wrong_rule_is_named_with_its_reason(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u foo", SYNTAX("foo") },
        { "ACL SETUSER u onn", SYNTAX("onn") },
        { "ACL SETUSER u a)", SYNTAX("a)") },
        { "ACL SETUSER u \"~a b\"", SYNTAX("~a b") },
        { "ACL SETUSER u \"~a\\tb\"", SYNTAX("~a...b") },
        { "ACL SETUSER u \"~a\\x00b\"", SYNTAX("~a") },
        { "ACL SETUSER u \"&a b\"", SYNTAX("&a b") },
        { "ACL SETUSER u %~k", SYNTAX("%~k") },
        { "ACL SETUSER u %", SYNTAX("%") },
        { "ACL SETUSER u %x~k", SYNTAX("%x~k") },
        { "ACL SETUSER u %RR~k", SYNTAX("%RR~k") },
        { "ACL SETUSER u %FOO~x", SYNTAX("%FOO~x") },
        { "ACL SETUSER u db=x", SYNTAX("db=x") },
        { "ACL SETUSER u db=", SYNTAX("db=") },
        { "ACL SETUSER u db=1,", SYNTAX("db=1,") },
        { "ACL SETUSER u db=1,,2", SYNTAX("db=1,,2") },
        { "ACL SETUSER u db=-1", WRONG("db=-1", "The provided database ID is out of range") },
        { "ACL SETUSER u db=2147483648", WRONG("db=2147483648", "The provided database ID is out of range") },
        { "ACL SETUSER u +foo", UNKNOWN("+foo") },
        { "ACL SETUSER u +psyncs", UNKNOWN("+psyncs") },
        { "ACL SETUSER u -foo", UNKNOWN("-foo") },
        { "ACL SETUSER u +", UNKNOWN("+") },
        { "ACL SETUSER u +@foo", UNKNOWN("+@foo") },
        { "ACL SETUSER u -@foo", UNKNOWN("-@foo") },
        { "ACL SETUSER u +@", UNKNOWN("+@") },
        { "ACL SETUSER u +config|foo", UNKNOWN("+config|foo") },
        { "ACL SETUSER u -foo|bar", UNKNOWN("-foo|bar") },
        { "ACL SETUSER u -select|0", UNKNOWN("-select|0") },
        { "ACL SETUSER u +select|", SYNTAX("+select|") },
        { "ACL SETUSER u +config|set|foo",
          WRONG("+config|set|foo", "Allowing first-arg of a subcommand is not supported") },
        { "ACL SETUSER u <nopass", NO_PASSWORD("<nopass") },
        { "ACL SETUSER u !" HASH_OF_P, NO_PASSWORD("!" HASH_OF_P) },
        { "ACL SETUSER u !zz", NO_HASH("!zz") },
        { "ACL SETUSER u #zz", NO_HASH("#zz") },
        { "ACL SETUSER u #", NO_HASH("#") },
        { "ACL SETUSER u #148DE9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940",
          NO_HASH("#148DE9...") },
        { "ACL SETUSER u #" HASH_OF_P "0", NO_HASH("#" HASH_OF_P "0") },
        { "ACL SETUSER u allkeys ~x", KEY_AFTER_ALL("~x") },
        { "ACL SETUSER u ~* %R~x", KEY_AFTER_ALL("%R~x") },
        { "ACL SETUSER u &* &x", CHANNEL_AFTER_ALL("&x") },
        { "ACL SETUSER u allchannels &x", CHANNEL_AFTER_ALL("&x") },
        { "ACL SETUSER u (foo)", SYNTAX("(foo)") },
        { "ACL SETUSER u (on)", SYNTAX("(on)") },
        { "ACL SETUSER u (>p)", SYNTAX("(>p)") },
        { "ACL SETUSER u (nopass)", SYNTAX("(nopass)") },
        { "ACL SETUSER u (reset)", SYNTAX("(reset)") },
        { "ACL SETUSER u (+foo)", UNKNOWN("(+foo)") },
        { "ACL SETUSER u (+get +foo )", UNKNOWN("(+get +foo )") },
        { "ACL SETUSER u \"(~* ~x)\"", KEY_AFTER_ALL("(~* ~x)") },
        { "ACL SETUSER u \"(+get\"", "-ERR Unmatched parenthesis in acl selector starting at '(+get'." },
        { "ACL SETUSER u on (+get) (+set ~x",
          "-ERR Unmatched parenthesis in acl selector starting at '(+set'." },
        { "ACL SETUSER u \"bad\\r\\nword\"", SYNTAX("bad...word") },
        { "ACL SETUSER \"bad user\"", NO_NAME },
        { "ACL SETUSER \"bad\\nuser\" on", NO_NAME },
        { "ACL SETUSER \"bad\\x00user\" on", NO_NAME },
        { "ACL SETUSER", "-ERR wrong number of arguments for 'acl|setuser' command" },
        { "ACL USERS", "*[$\"default\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void a_wrong_rule_leaves_the_user_as_it_was(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u on >p ~a +get (+set)", "+OK" },
        { "ACL SETUSER u off nopass ~* +@all clearselectors foo", SYNTAX("foo") },
        { "ACL SETUSER u reset (+get", "-ERR Unmatched parenthesis..." },
        { "ACL LIST", "*[$\"user d...\", $\"user u on sanitize-payload #" HASH_OF_P
                      " ~a resetchannels -@all +get (resetchannels -@all +set)\"]" },
        { "ACL SETUSER default off resetkeys foo", SYNTAX("foo") },
        { "ACL SETUSER default +foo", UNKNOWN("+foo") },
        { "GET a", "$-1" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void rules_add_to_those_that_a_user_has(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u", "+OK" },
        { "ACL SETUSER u on ~a", "+OK" },
        { "ACL SETUSER u ~b +get", "+OK" },
        { "ACL SETUSER u (+set)", "+OK" },
        { "ACL SETUSER u -@write (+del)", "+OK" },
        { "ACL SETUSER u", "+OK" },
        { "ACL LIST",
          "*[$\"user d...\", $\"user u on sanitize-payload ~a ~b resetchannels -@all +get -@write "
                      "(resetchannels -@all +set) (resetchannels -@all +del)\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void channels_of_a_new_user_are_as_the_setting_says(void **state) {
    static const struct exchange rows[] = {
        { "CONFIG SET acl-pubsub-default allchannels", "+OK" },
        { "ACL SETUSER u (+get) &x", CHANNEL_AFTER_ALL("&x") },
        { "ACL SETUSER u (+get)", "+OK" },
        { "ACL SETUSER v resetchannels", "+OK" },
        { "CONFIG SET acl-pubsub-default resetchannels", "+OK" },
        { "ACL SETUSER w", "+OK" },
        { "ACL LIST", "*[$\"user d...\", $\"user u " OFF "&* -@all (&* -@all +get)\", $\"user v " CLOSED
                      "-@all\", $\"user w " CLOSED "-@all\"]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- names ---- */

static void a_name_may_be_empty_and_have_any_byte_that_is_no_blank(void **state) {
    struct client *c = fixture_client(state), *u = connect_another(state);
    static const struct exchange rows[] = {
        { "ACL SETUSER \"\" on nopass +get ~*", "+OK" },
        { "ACL SETUSER \"\\x01\\xff\" on >p +get ~*", "+OK" },
        { "ACL SETUSER \"a\\\"b'\" on >p +@all ~x", "+OK" },
        { "ACL SETUSER User", "+OK" },
        { "ACL SETUSER user", "+OK" },
        { "ACL USERS", "*[$\"\", $\"\\x01\\xff\", $\"User\", $\"a\\\"b'\", $\"default\", $\"user\"]" },
        { "ACL LIST",
          "*[$\"user  on nopass sanitize-payload ~* resetchannels -@all +get\", $\"user \\x01\\xff "
                      "on ..." },
        { "ACL GETUSER \"\"", "*[$\"flags\", *[$\"on\", $\"nopass\", ..." },
        { "ACL DRYRUN \"\" set k v", "$\"User  has no permissions to run the 'set' command\"" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
    static const struct exchange logins[] = {
        { "AUTH \"\" x", "+OK" },
        { "ACL WHOAMI", "-NOPERM User  has no permissions to run the 'acl|whoami' command" },
        { "AUTH \"\\x01\\xff\" x", WRONGPASS },
        { "AUTH \"\\x01\\xff\" p", "+OK" },
        { "SET k v", "-NOPERM User \x01\xff has no permissions to run the 'set' command" },
        { "AUTH \"a\\\"b'\" p", "+OK" },
        { "ACL WHOAMI", "$\"a\\\"b'\"" },
        { "CLIENT INFO", "$\"... user=a\\\"b' ...\"" },
        { NULL, NULL },
    };
    assert_exchanges(u, logins);
    assert_reply(c, "ACL DELUSER \"\" \"\\x01\\xff\" \"a\\\"b'\"", ":3");
    assert_ended(u);
    client_close(u);
}

/* ---- GETUSER ---- */

#define NOBODY_RESP2                                                                                     \
    "*[$\"flags\", *[$\"off\", $\"sanitize-payload\"], $\"passwords\", *[], $\"commands\", $\"-@all\", " \
    "$\"keys\", $\"\", $\"channels\", $\"\", $\"databases\", $\"alldbs\", $\"selectors\", *[]]"

static void getuser_tells_all_parts_in_resp2(void **state) {
    static const struct exchange rows[] = {
        { "ACL GETUSER u", "$-1" },
        { "ACL SETUSER u", "+OK" },
        { "ACL GETUSER u", NOBODY_RESP2 },
        { "ACL GETUSER default",
          "*[$\"flags\", *[$\"on\", $\"nopass\", $\"sanitize-payload\"], $\"passwords\", *[], $\"commands\", "
          "$\"+@all\", $\"keys\", $\"~*\", $\"channels\", $\"&*\", $\"databases\", $\"alldbs\", "
          "$\"selectors\", *[]]" },
        { "ACL SETUSER u on skip-sanitize-payload >p >foo ~a %R~b &c &d* db=0,3 +get -@write (+set ~x) "
          "(resetdbs &*)",
          "+OK" },
        { "ACL GETUSER u",
          "*[$\"flags\", *[$\"on\", $\"skip-sanitize-payload\"], $\"passwords\", *[$\"" HASH_OF_P
          "\", $\"" HASH_OF_FOO "\"], $\"commands\", $\"-@all +get -@write\", $\"keys\", $\"~a %R~b\", "
          "$\"channels\", $\"&c &d*\", $\"databases\", $\"db=0,3\", $\"selectors\", *["
          "*[$\"commands\", $\"-@all +set\", $\"keys\", $\"~x\", $\"channels\", $\"\", $\"databases\", "
          "$\"alldbs\"], "
          "*[$\"commands\", $\"-@all\", $\"keys\", $\"\", $\"channels\", $\"&*\", $\"databases\", "
          "$\"resetdbs\"]]]" },
        { "ACL GETUSER", "-ERR wrong number of arguments for 'acl|getuser' command" },
        { "ACL GETUSER a b", "-ERR wrong number of arguments for 'acl|getuser' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void getuser_has_maps_and_a_set_in_resp3(void **state) {
    struct client *c = fixture_client(state);
    assert_reply(c, "HELLO 3", "...");
    static const struct exchange rows[] = {
        { "ACL GETUSER u", "_" },
        { "ACL SETUSER u >p +get (+set ~x)", "+OK" },
        { "ACL GETUSER u",
          "%{$\"flags\": ~[$\"off\", $\"sanitize-payload\"], $\"passwords\": *[$\"" HASH_OF_P
          "\"], $\"commands\": $\"-@all +get\", $\"keys\": $\"\", $\"channels\": $\"\", $\"databases\": "
          "$\"alldbs\", $\"selectors\": *[%{$\"commands\": $\"-@all +set\", $\"keys\": $\"~x\", "
          "$\"channels\": $\"\", $\"databases\": $\"alldbs\"}]}" },
        { NULL, NULL },
    };
    assert_exchanges(c, rows);
}

/* ---- the other subcommands ---- */

static void users_are_listed_by_name_and_removed(void **state) {
    static const struct exchange rows[] = {
        { "ACL WHOAMI", "$\"default\"" },
        { "ACL SETUSER zoe", "+OK" },
        { "ACL SETUSER adam", "+OK" },
        { "ACL SETUSER deFault", "+OK" },
        { "ACL USERS", "*[$\"adam\", $\"deFault\", $\"default\", $\"zoe\"]" },
        { "ACL LIST", "*[$\"user adam " CLOSED "-@all\", $\"user deFault " CLOSED
                      "-@all\", $\"user default on nopass sanitize-payload ~* &* +@all\", $\"user zoe " CLOSED
                      "-@all\"]" },
        { "ACL DELUSER nosuch", ":0" },
        { "ACL DELUSER zoe nosuch zoe", ":1" },
        { "ACL DELUSER adam default", "-ERR The 'default' user cannot be removed" },
        { "ACL USERS", "*[$\"adam\", $\"deFault\", $\"default\"]" },
        { "ACL DELUSER adam deFault", ":2" },
        { "ACL USERS", "*[$\"default\"]" },
        { "ACL DELUSER", "-ERR wrong number of arguments for 'acl|deluser' command" },
        { "ACL USERS x", "-ERR wrong number of arguments for 'acl|users' command" },
        { "ACL LIST x", "-ERR wrong number of arguments for 'acl|list' command" },
        { "ACL WHOAMI x", "-ERR wrong number of arguments for 'acl|whoami' command" },
        { "ACL", "-ERR wrong number of arguments for 'acl' command" },
        { "ACL FOO", "-ERR unknown subcommand 'FOO'. Try ACL HELP." },
        { "ACL HELP",
          "*[+ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, +CAT [<category>], ..." },
        { "ACL HELP x", "-ERR wrong number of arguments for 'acl|help' command" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

static void cat_names_the_categories_and_their_commands(void **state) {
    static const struct exchange rows[] = {
        { "ACL CAT nosuch", "-ERR Unknown category 'nosuch'" },
        { "ACL CAT all", "-ERR Unknown category 'all'" },
        { "ACL CAT \"a\\r\\nb\"", "-ERR Unknown category 'a...b'" },
        { "ACL CAT read write",
          "-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP." },
        { NULL, NULL },
    };
    static const struct exchange sorted[] = {
        { "ACL CAT", "*[$\"admin\", $\"bitmap\", $\"blocking\", $\"connection\", $\"dangerous\", $\"fast\", "
                     "$\"geo\", $\"hash\", $\"hyperloglog\", $\"keyspace\", $\"list\", $\"pubsub\", "
                     "$\"read\", $\"scripting\", $\"set\", $\"slow\", $\"sortedset\", $\"stream\", "
                     "$\"string\", $\"transaction\", $\"write\"]" },
        { "ACL CAT TRANSACTION", "*[$\"discard\", $\"exec\", $\"multi\", $\"unwatch\", $\"watch\"]" },
        { "ACL CAT bitmap", "*[$\"bitcount\", $\"bitfield\", $\"bitfield_ro\", $\"bitop\", $\"bitpos\", "
                            "$\"getbit\", $\"setbit\"]" },
    };
    struct client *c = fixture_client(state);
    assert_exchanges(c, rows);
    for (size_t i = 0; i < COUNT_OF(sorted); i++) assert_reply_sorted(c, sorted[i].command, sorted[i].reply);
    assert_reply_sorted(c, "ACL CAT dangerous",
                        "*[$\"acl|deluser\", $\"acl|dryrun\", ...$\"config|set\", ...");
}

/* Categories are sets of commands: what COMMAND says of each command and what ACL CAT says agree. */
static void cat_agrees_with_command_list(void **state) {
    struct client *c = fixture_client(state);
    struct node *categories = client_ask_node(c, "ACL CAT");
    assert_int_equal(categories->count, 21);
    for (size_t i = 0; i < categories->count; i++) {
        const char *name = text_str(&categories->items[i]->bytes);
        struct text of_cat = { 0 }, of_command = { 0 };
        struct node *cat = client_ask_node(c, "ACL CAT %s", name);
        struct node *list = client_ask_node(c, "COMMAND LIST FILTERBY ACLCAT %s", name);
        assert_true(cat->count > 0);
        node_sort(cat);
        node_sort(list);
        node_describe(cat, &of_cat);
        node_describe(list, &of_command);
        assert_string_equal(text_str(&of_cat), text_str(&of_command));
        node_free(cat);
        node_free(list);
        text_release(&of_cat);
        text_release(&of_command);
    }
    node_free(categories);
}

static void assert_hex(struct client *c, const char *command, size_t digits) {
    struct node *n = client_ask_node(c, "%s", command);
    const char *text = text_str(&n->bytes);
    assert_int_equal(n->bytes.len, digits);
    assert_int_equal(strspn(text, "0123456789abcdef"), digits);
    node_free(n);
}

#define NO_BITS                                                                                           \
    "-ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up " \
    "to 4096"

static void genpass_gives_as_many_hex_digits_as_hold_the_bits(void **state) {
    static const struct {
        const char *command;
        size_t digits;
    } rows[] = {
        { "ACL GENPASS", 64 },        { "ACL GENPASS 1", 1 },    { "ACL GENPASS 4", 1 },
        { "ACL GENPASS 5", 2 },       { "ACL GENPASS 256", 64 }, { "ACL GENPASS 257", 65 },
        { "ACL GENPASS 4096", 1024 },
    };
    static const struct exchange refused[] = {
        { "ACL GENPASS 0", NO_BITS },
        { "ACL GENPASS -1", NO_BITS },
        { "ACL GENPASS 4097", NO_BITS },
        { "ACL GENPASS 5000", NO_BITS },
        { "ACL GENPASS a", "-ERR value is not an integer or out of range" },
        { "ACL GENPASS 1 2",
          "-ERR unknown subcommand or wrong number of arguments for 'GENPASS'. Try ACL HELP." },
        { NULL, NULL },
    };
    struct client *c = fixture_client(state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) assert_hex(c, rows[i].command, rows[i].digits);
    assert_exchanges(c, refused);
    char first[128];
    snprintf(first, sizeof first, "%s", client_ask(c, "ACL GENPASS"));
    assert_string_not_equal(client_ask(c, "ACL GENPASS"), first);
}

#define DENIED(text) "$\"User u has no permissions to " text "\""

static void dryrun_tells_what_would_be_denied_and_runs_nothing(void **state) {
    static const struct exchange rows[] = {
        { "ACL SETUSER u +get +set +config|get +publish +psubscribe +select +mset ~a* &c*", "+OK" },
        { "ACL DRYRUN u get a", "+OK" },
        { "ACL DRYRUN u SET a 1", "+OK" },
        { "EXISTS a", ":0" },
        { "ACL DRYRUN u del a", DENIED("run the 'del' command") },
        { "ACL DRYRUN u CONFIG GET save", "+OK" },
        { "ACL DRYRUN u CONFIG SET save \"\"", DENIED("run the 'config|set' command") },
        { "ACL DRYRUN u get x", DENIED("access the 'x' key") },
        { "ACL DRYRUN u mset a 1 x 2 y 3", DENIED("access the 'x' key") },
        { "ACL DRYRUN u publish c m", "+OK" },
        { "ACL DRYRUN u publish zz m", DENIED("access the 'zz' channel") },
        { "ACL DRYRUN u psubscribe c*", "+OK" },
        { "ACL DRYRUN u psubscribe c* cc", DENIED("access the 'cc' channel") },
        { "ACL SETUSER u db=0", "+OK" },
        { "ACL DRYRUN u select 0", "+OK" },
        { "ACL DRYRUN u select 1", DENIED("access database 1") },
        { "SELECT 1", "+OK" },
        { "ACL DRYRUN u get a", DENIED("access database get") },
        { "SELECT 0", "+OK" },
        { "ACL DRYRUN u auth x", "+OK" },
        { "ACL DRYRUN default flushall", "+OK" },
        { "ACL DRYRUN nosuch get a", "-ERR User 'nosuch' not found" },
        { "ACL DRYRUN \"no\\r\\nsuch\" get a", "-ERR User 'no...such' not found" },
        { "ACL DRYRUN u foo", "-ERR Command 'foo' not found" },
        { "ACL DRYRUN u \"fo\\r\\no\"", "-ERR Command 'fo...o' not found" },
        { "ACL DRYRUN u config foo", "-ERR Command 'config' not found" },
        { "ACL DRYRUN u get", "-ERR wrong number of arguments for 'get' command" },
        { "ACL DRYRUN u config|get a", "-ERR Command 'config|get' not found" },
        { "ACL DRYRUN u", "-ERR wrong number of arguments for 'acl|dryrun' command" },
        { "ACL LOG", "*[]" },
        { NULL, NULL },
    };
    assert_exchanges(fixture_client(state), rows);
}

/* ---- secrets ---- */

static void passwords_are_not_shown_to_others(void **state) {
    struct client *c = fixture_client(state);
    struct client *m = connect_another(state);
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 0", "+OK");
    assert_reply(c, "SLOWLOG RESET", "+OK");
    assert_reply(m, "MONITOR", "+OK");
    assert_reply(c, "ACL SETUSER u on >secret", "+OK");
    assert_reply(c, "ACL DRYRUN u AUTH u secret", "+OK");
    assert_reply(c, "AUTH u secret1", WRONGPASS);
    assert_reply(c, "HELLO 2 AUTH u secret1", WRONGPASS);
    assert_next(m, "+... \"AUTH\" \"(redacted)\" \"(redacted)\"");
    assert_next(m, "+... \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\"");
    const char *slow = client_ask(c, "SLOWLOG GET 10");
    assert_non_null(strstr(slow, "$\"ACL\", $\"SETUSER\", $\"(redacted)\""));
    assert_null(strstr(slow, "secret"));
    assert_reply(c, "CONFIG SET slowlog-log-slower-than 10000", "+OK");
    assert_null(strstr(server_log(server_of(state)), "secret"));
    client_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACL_TEST(rules_of_the_user_itself_are_shown_in_a_fixed_order),
        ACL_TEST(keys_channels_and_databases_are_shown_in_the_order_given),
        ACL_TEST(rules_for_commands_are_shown_as_they_came_without_what_they_overrule),
        ACL_TEST(selectors_are_shown_last_each_in_parentheses),
        ACL_TEST(a_word_in_a_selector_that_no_line_could_repeat_is_refused),
        ACL_TEST(a_wrong_rule_is_named_with_its_reason),
        ACL_TEST(a_wrong_rule_leaves_the_user_as_it_was),
        ACL_TEST(rules_add_to_those_that_a_user_has),
        ACL_TEST(channels_of_a_new_user_are_as_the_setting_says),
        ACL_TEST(a_name_may_be_empty_and_have_any_byte_that_is_no_blank),
        ACL_TEST(getuser_tells_all_parts_in_resp2),
        ACL_TEST(getuser_has_maps_and_a_set_in_resp3),
        ACL_TEST(users_are_listed_by_name_and_removed),
        ACL_TEST(cat_names_the_categories_and_their_commands),
        ACL_TEST(cat_agrees_with_command_list),
        ACL_TEST(genpass_gives_as_many_hex_digits_as_hold_the_bits),
        ACL_TEST(dryrun_tells_what_would_be_denied_and_runs_nothing),
        ACL_TEST(passwords_are_not_shown_to_others),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
