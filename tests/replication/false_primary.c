/* false_primary.c: see false_primary.h. */
#include "false_primary.h"
#include "../harness/check.h"
#include "../integration/files.h"

static void make_dump(struct text *out) {
    struct server *s = REDIS();
    struct client *c = server_connect(s);
    client_ask(c, "SET new 1");
    client_ask(c, "DEBUG POPULATE 300");
    client_ask(c, "RPUSH list a b c");
    client_ask(c, "HSET hash f v");
    assert_reply(c, "SAVE", "+OK");
    file_read(server_path(s, "dump.rdb"), out);
    client_close(c);
    server_free(s);
}

void scene_open(struct scene *scene, const char *diskless_load) {
    *scene =
        (struct scene){ .replica = TRIVET("--repl-diskless-load", diskless_load), .listener = wire_listen() };
    make_dump(&scene->rdb);
    scene->client = server_connect(scene->replica);
    client_ask(scene->client, "SET old 1");
    replication_follow(scene->replica, wire_port(scene->listener));
}

void scene_close(struct scene *scene) {
    client_close(scene->client);
    server_free(scene->replica);
    wire_listener_close(scene->listener);
    text_release(&scene->rdb);
    text_release(&scene->psync);
}

struct wire *scene_await_psync(struct scene *scene) {
    return wire_accept_psync(scene->listener, &scene->psync);
}

struct wire *scene_feed(struct scene *scene, int64_t offset) {
    struct wire *w = scene_await_psync(scene);
    wire_send_fullresync(w, ID, offset, text_slice(&scene->rdb));
    assert_reply_soon(scene->client, "EXISTS new", ":1");
    replication_await_link(scene->replica);
    return w;
}

void scene_assert_unharmed(struct scene *scene) {
    assert_reply(scene->client, "EXISTS old new", ":1");
    assert_reply(scene->client, "GET old", "$\"1\"");
}

void scene_assert_comes_back(struct scene *scene) {
    struct wire *w = scene_await_psync(scene);
    wire_send_fullresync(w, ID, 100, text_slice(&scene->rdb));
    wire_tell(w, "SET after 1");
    assert_reply_soon(scene->client, "EXISTS new after old", ":2");
    wire_close(w);
}

void scenes_open(struct scene scenes[TURNS], const char *const diskless_loads[TURNS]) {
    for (size_t i = 0; i < TURNS; i++) scene_open(&scenes[i], diskless_loads[i]);
}

void scenes_close(struct scene scenes[TURNS]) {
    for (size_t i = 0; i < TURNS; i++) {
        scene_assert_comes_back(&scenes[i]);
        scene_close(&scenes[i]);
    }
}
