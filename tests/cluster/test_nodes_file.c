/* test_nodes_file.c: nodes.conf in a server's life: it belongs to one process, it has to be whole, a node
 * that cannot write it ends or goes on as it was told; and what a node is and answers while it loads its
 * data. */
#include "../harness/check.h"
#include "../harness/cluster.h"
#include "../harness/folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "07c37dfeb235213a872192d90877d0cd55635b91"
#define OTHER "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"
#define SELF_LINE NAME " 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460\n"
#define VARS_LINE "vars currentEpoch 1 lastVoteEpoch 0\n"

/* ---- one process ---- */

/* Tries to start a node with that file; what it logged goes to `log`. */
static void assert_does_not_start(const char *nodes_file, struct text *log) {
    char port[16];
    const char *const args[] = { "--cluster-enabled", "yes", "--cluster-port", port, "--cluster-config-file",
                                 nodes_file,          NULL };
    snprintf(port, sizeof port, "%d", server_free_port());
    text_clear(log);
    assert_int_not_equal(server_run_to_end(&(struct server_plan){ .args = args, .tcp = true }, log), 0);
}

static void a_file_belongs_to_one_process(void **state) {
    (void)state;
    char path[256];
    struct text log = { 0 };
    struct cnode n = CNODE();
    snprintf(path, sizeof path, "%s", server_path(n.server, "nodes.conf"));
    assert_does_not_start(path, &log);
    assert_non_null(strstr(text_str(&log), "is used by another server"));
    /* The file is a new one after each write, and is locked as well. */
    assert_reply(n.client, "CLUSTER ADDSLOTS 1 2 3", "+OK");
    assert_reply(n.client, "CLUSTER SAVECONFIG", "+OK");
    assert_does_not_start(path, &log);
    assert_non_null(strstr(text_str(&log), "is used by another server"));
    cnode_kill(&n);
    cnode_restart(&n);
    assert_true(cnode_says(&n, "CLUSTER MYID", n.id));
    assert_true(cnode_says(&n, "CLUSTER NODES", "connected 1-3"));
    cnode_end(&n);
    text_release(&log);
}

/* ---- a file that is broken ---- */

struct broken {
    const char *text, *said;
};

static const struct broken files[] = {
    { "hello\n", "line 1: " },
    { SELF_LINE "vars currentEpoch 1 lastVote", "cut off" },
    { NAME " 127.0.0.1:30001@31001 myself,mas", "cut off" },
    { OTHER " 127.0.0.1:1@2 master - 0 0 1 connected\n" VARS_LINE, "no node is this one" },
    { SELF_LINE SELF_LINE VARS_LINE, "line 2: " },
    { SELF_LINE OTHER " 127.0.0.1:1@2 myself,master - 0 0 1 connected\n" VARS_LINE, "line 2: " },
    { NAME " 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-16384\n" VARS_LINE, "line 1: " },
    { NAME " 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 7-5\n" VARS_LINE, "line 1: " },
    { SELF_LINE OTHER " 127.0.0.1:1@2 master - 0 0 1 connected 5460\n" VARS_LINE, "line 2: " },
    { NAME " 127.0.0.1:70000@31001 myself,master - 0 0 1 connected\n" VARS_LINE, "line 1: " },
    { NAME " 127.0.0.1:30001@31001 myself,king - 0 0 1 connected\n" VARS_LINE, "line 1: " },
    { NAME " 127.0.0.1:30001@31001 myself,master - 0 0 one connected\n" VARS_LINE, "line 1: " },
    { SELF_LINE "vars currentEpoch x lastVoteEpoch 0\n", "line 2: " },
    { SELF_LINE "vars currentEpoch\n", "line 2: " },
};

static void a_broken_file_stops_the_server(void **state) {
    (void)state;
    char folder[FOLDER_PATH], path[FOLDER_PATH + 16];
    struct text log = { 0 }, after = { 0 };
    folder_make(folder, "nodes");
    snprintf(path, sizeof path, "%s/nodes.conf", folder);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(files[i].text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_does_not_start(path, &log);
        if (!strstr(text_str(&log), "Can't be a node of a cluster. ") ||
            !strstr(text_str(&log), files[i].said))
            fail_msg("%s: the log does not say '%s': %s", files[i].text, files[i].said, text_str(&log));
        /* Whoever mends it by hand finds it as it was. */
        file = fopen(path, "r");
        assert_non_null(file);
        text_clear(&after);
        char line[512];
        while (fgets(line, sizeof line, file)) text_append_str(&after, line);
        fclose(file);
        assert_string_equal(text_str(&after), files[i].text);
    }
    text_release(&log);
    text_release(&after);
    folder_remove(folder);
}

/* ---- a file that cannot be written ---- */

/* A folder stands where the server wants to write the new file. */
static void obstruct(struct server *s, char path[256], bool on) {
    snprintf(path, 256, "%s.tmp-%ld", server_path(s, "nodes.conf"), (long)server_pid(s));
    assert_int_equal(on ? mkdir(path, 0755) : rmdir(path), 0);
}

static void a_node_that_cannot_write_its_file_ends(void **state) {
    (void)state;
    char path[256];
    struct cnode n = CNODE();
    obstruct(n.server, path, true);
    assert_reply(n.client, "CLUSTER SAVECONFIG", "-ERR error saving the cluster node config: ...");
    client_send(n.client, "CLUSTER BUMPEPOCH");
    assert_ended(n.client);
    assert_int_not_equal(server_await_failure(n.server), 0);
    assert_non_null(strstr(server_log(n.server), "Fatal: can't update cluster config file"));
    assert_int_equal(rmdir(path), 0);
    cnode_end(&n);
}

static void a_node_that_is_told_to_goes_on_without_its_file(void **state) {
    (void)state;
    char path[256];
    struct cnode n = CNODE("--cluster-config-save-behavior", "best-effort");
    obstruct(n.server, path, true);
    assert_reply(n.client, "CLUSTER BUMPEPOCH", "+BUMPED 1");
    server_await_log(n.server, "can't update cluster config file", 1);
    assert_reply(n.client, "CLUSTER ADDSLOTS 1 2 3", "+OK");
    obstruct(n.server, path, false);
    assert_reply(n.client, "CLUSTER SAVECONFIG", "+OK");
    cnode_kill(&n);
    cnode_restart(&n);
    assert_true(cnode_says(&n, "CLUSTER NODES", " 1 connected 1-3"));
    cnode_end(&n);
}

/* ---- while it loads ---- */

static const struct exchange while_loading[] = {
    { "CLUSTER INFO", "$\"cluster_state:fail\\r\\ncluster_slots_assigned:16384..." },
    { "CLUSTER NODES", "$\"... myself,master - 0 0 0 connected 0-16383..." },
    { "CLUSTER SHARDS", "*[*[$\"slots\", *[:0, :16383], ...$\"health\", $\"loading\"...]]" },
    { "CLUSTER SLOTS", "*[*[:0, :16383, ...]]" },
    { "CLUSTER MYID", "$\"...\"" },
    { "CLUSTER MYSHARDID", "$\"...\"" },
    { "CLUSTER KEYSLOT foo", "-LOADING..." },
    { "CLUSTER LINKS", "..." },
    { "CLUSTER COUNTKEYSINSLOT 1", "..." },
    { "CLUSTER GETKEYSINSLOT 1 10", "..." },
    { "CLUSTER COUNT-FAILURE-REPORTS x", "..." },
    { "CLUSTER REPLICAS x", "..." },
    { "CLUSTER SLOT-STATS SLOTSRANGE 0 3", "..." },
    { "CLUSTER HELP", "..." },
    { "CLUSTER ADDSLOTS 1", "..." },
    { "CLUSTER MEET 127.0.0.1 1", "..." },
    { "CLUSTER FORGET x", "..." },
    { "CLUSTER REPLICATE x", "..." },
    { "CLUSTER FAILOVER", "..." },
    { "CLUSTER BUMPEPOCH", "..." },
    { "CLUSTER SAVECONFIG", "..." },
    { "CLUSTER RESET", "..." },
    { "INFO cluster", "..." },
    { "CONFIG SET cluster-node-timeout 3000", "+OK" },
    { "READONLY", "..." },
    { "PING", "-LOADING..." },
    { "SET a b", "-CLUSTERDOWN The cluster is down" },
    { NULL, NULL },
};

static void a_node_answers_while_it_loads(void **state) {
    (void)state;
    struct cnode before = CNODE();
    struct client *c = before.client;
    cnode_take_all_slots(&before);
    assert_reply(c, "SET key value", "+OK");
    for (int i = 0; i < 1000; i++) client_queue(c, "SET key:%d value", i);
    assert_true(client_flush(c));
    client_skip(c, 1000);
    assert_reply(c, "SAVE", "+OK");
    server_stop(before.server);
    char port[16];
    snprintf(port, sizeof port, "%d", server_free_port());
    const char *const args[] = { "--dir",
                                 server_folder(before.server),
                                 "--cluster-enabled",
                                 "yes",
                                 "--key-load-delay",
                                 "10000",
                                 "--cluster-port",
                                 port,
                                 NULL };
    struct server *s = server_launch_unready(&(struct server_plan){ .args = args, .tcp = true });
    c = server_connect_early(s);
    assert_exchanges(c, while_loading);
    assert_reply(c, "CONFIG SET key-load-delay 0", "+OK");
    assert_reply_soon(c, "PING", "+PONG");
    assert_reply(c, "DBSIZE", ":1001");
    assert_reply_soon(c, "SET key value", "+OK");
    client_close(c);
    server_free(s);
    cnode_end(&before);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_belongs_to_one_process),
        cmocka_unit_test(a_broken_file_stops_the_server),
        cmocka_unit_test(a_node_that_cannot_write_its_file_ends),
        cmocka_unit_test(a_node_that_is_told_to_goes_on_without_its_file),
        cmocka_unit_test(a_node_answers_while_it_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
