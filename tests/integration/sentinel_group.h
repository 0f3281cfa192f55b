/* sentinel_group.h: what the tests with Sentinel look at, and the story that most groups go through. Each
 * test file includes it once. */
#ifndef TESTS_INTEGRATION_SENTINEL_GROUP_H
#define TESTS_INTEGRATION_SENTINEL_GROUP_H

#include "../harness/fixture.h"
#include "../harness/group.h"
#include "files.h"
#include <stdio.h>
#include <stdlib.h>

#define HELP __attribute__((unused)) static

HELP void assert_asked(struct group *g, int i, const char *command, const char *expected) {
    const char *got = group_ask(g, i, "%s", command);
    if (!text_matches(expected, got))
        HARNESS_FAIL("server %d, %s: wanted %s, got %s", i, command, expected, got);
}

/* Writes, and waits until both replicas (or the one that runs) have it. */
HELP void write_key(struct group *g, int primary, const char *key, int replicas) {
    char set[64];
    struct client *c = group_connect(g, primary);
    snprintf(set, sizeof set, "SET %s v", key);
    assert_reply(c, set, "+OK");
    assert_int_equal(client_ask_int(c, "WAIT %d 30000", replicas), replicas);
    client_close(c);
}

HELP void assert_has_key(struct group *g, int i, const char *key) {
    char get[64];
    snprintf(get, sizeof get, "GET %s", key);
    assert_asked(g, i, get, "$\"v\"");
}

/* The conf file of server `i` names this primary, or with -1 none. */
HELP void assert_conf_follows(struct group *g, int i, int primary) {
    struct text conf = { 0 }, wanted = { 0 };
    file_read(server_path(group_server(g, i), "server.conf"), &conf);
    const char *line = strstr(text_str(&conf), "\nreplicaof ");
    if (primary < 0) {
        if (line)
            HARNESS_FAIL("server %d has in its conf file: %.*s", i, (int)strcspn(line + 1, "\n"), line + 1);
    } else {
        text_printf(&wanted, "\nreplicaof 127.0.0.1 %d\n", group_port(g, primary));
        if (!strstr(text_str(&conf), text_str(&wanted)))
            HARNESS_FAIL("the conf file of server %d lacks%s%s", i, text_str(&wanted), text_str(&conf));
    }
    text_release(&conf);
    text_release(&wanted);
}

HELP void assert_confs(struct group *g, int primary) {
    for (int i = 0; i < GROUP_SERVERS; i++) assert_conf_follows(g, i, i == primary ? -1 : primary);
}

HELP void sentinel_does(struct group *g, const char *command, const char *expected) {
    struct client *c = group_sentinel(g, 0);
    assert_reply(c, command, expected);
    client_close(c);
}

HELP int the_third(int a, int b) { return 3 - a - b; }

/* Index 0 dies, another takes over, 0 comes back as it went and is made a replica. */
HELP void kill_and_come_back(const struct group_plan *plan) {
    struct group *g = group_start(plan);
    write_key(g, 0, "before", 2);
    int64_t full[GROUP_SERVERS];
    for (int i = 1; i < GROUP_SERVERS; i++) full[i] = group_info_number(g, i, "sync_full");
    server_kill(group_server(g, 0));
    int now = group_await_other_primary(g, 0), other = the_third(0, now);
    assert_has_key(g, now, "before");
    assert_conf_follows(g, now, -1);
    assert_conf_follows(g, other, now);
    assert_int_equal(group_info_number(g, now, "sync_full"), full[now]);
    assert_int_equal(group_info_number(g, now, "sync_partial_ok"), 1);
    write_key(g, now, "meanwhile", 1);
    server_restart(group_server(g, 0));
    group_await_primary(g, now);
    write_key(g, now, "after", 2);
    for (int i = 0; i < GROUP_SERVERS; i++) {
        assert_has_key(g, i, "before");
        assert_has_key(g, i, "meanwhile");
        assert_has_key(g, i, "after");
    }
    assert_confs(g, now);
    group_stop(g);
}

#endif
