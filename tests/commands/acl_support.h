/* acl_support.h: what the tests of ACL share: each begins with the default user alone, who may do everything,
 * and "u" is the user whose permissions are in question. Every test file includes it once. */
#ifndef TESTS_COMMANDS_ACL_SUPPORT_H
#define TESTS_COMMANDS_ACL_SUPPORT_H

#include "../harness/fail.h"
#include "../harness/fixture.h"
#include <stdio.h>
#include <string.h>

#define HELP __attribute__((unused)) static

#define NO_KEY "-NOPERM No permissions to access a key"
#define NO_CHANNEL "-NOPERM No permissions to access a channel"
#define NO_DATABASE "-NOPERM No permissions to access database"
#define NO_COMMAND(command) "-NOPERM User u has no permissions to run the '" command "' command"
#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled."
#define NOAUTH "-NOAUTH Authentication required."

HELP void remove_users(struct client *c) {
    struct node *names = client_ask_node(c, "ACL USERS");
    struct words w = { 0 };
    words_add_str(&w, "ACL");
    words_add_str(&w, "DELUSER");
    for (size_t i = 0; i < names->count; i++) {
        struct slice name = text_slice(&names->items[i]->bytes);
        if (!slice_equal(name, LIT("default"))) words_add(&w, name.ptr, name.len);
    }
    if (w.count > 2) client_queue_words(c, &w);
    size_t sent = w.count > 2;
    client_flush(c);
    client_skip(c, sent);
    words_release(&w);
    node_free(names);
}

HELP int acl_open(void **state) {
    if (fixture_open(state) != 0) return -1;
    struct client *c = fixture_client(state);
    remove_users(c);
    assert_reply(c, "CONFIG SET acllog-max-len 128", "+OK");
    assert_reply(c, "ACL LOG RESET", "+OK");
    return 0;
}

HELP struct client *questioner; /* of check_permissions; closed also if that fails */

/* The next test's connection has to get in. */
HELP int acl_close(void **state) {
    client_close(questioner);
    questioner = NULL;
    assert_reply(fixture_client(state), "ACL SETUSER default reset on nopass ~* &* +@all", "+OK");
    return fixture_close(state);
}

#define ACL_TEST(name) cmocka_unit_test_setup_teardown(name, acl_open, acl_close)

HELP struct server *server_of(void **state) { return ((struct fixture *)*state)->server; }

/* The user "u" has these rules and no others. */
HELP void set_rules(struct client *c, const char *rules) {
    char command[1024];
    snprintf(command, sizeof command, "ACL SETUSER u reset on nopass %s", rules);
    assert_reply(c, command, "+OK");
}

/* A connection of "u", who gets these rules. */
HELP struct client *connect_with(void **state, const char *rules) {
    set_rules(fixture_client(state), rules);
    struct client *u = connect_another(state);
    assert_reply(u, "AUTH u x", "+OK");
    return u;
}

/* Rules of "u", and what a command of its gets for them. Without rules: those of the row before. */
struct permission_row {
    const char *rules, *command, *reply;
};

/* All on one connection: a change of rules holds for the next command of each connection. */
HELP void check_permissions(void **state, const struct permission_row *rows) {
    struct client *c = fixture_client(state);
    questioner = connect_with(state, "");
    for (; rows->command; rows++) {
        if (rows->rules) set_rules(c, rows->rules);
        assert_reply(questioner, rows->command, rows->reply);
    }
}

#endif
