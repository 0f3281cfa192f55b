/* saves.c: see saves.h. */
#include "saves.h"
#include "check.h"
#include "fail.h"
#include <stdio.h>
#include <time.h>

#define PATIENCE_MS 100000

static void pause_a_little(void) { nanosleep(&(struct timespec){ .tv_nsec = 2 * 1000 * 1000 }, NULL); }

void saves_await(struct client *c) {
    static const char *const busy[] = { "rdb_bgsave_in_progress", "aof_rewrite_in_progress",
                                        "aof_rewrite_scheduled" };
    size_t quiet = 0;
    for (int waited = 0; quiet < COUNT_OF(busy); waited++) {
        if (waited > PATIENCE_MS / 2) HARNESS_FAIL("a snapshot does not end");
        for (quiet = 0; quiet < COUNT_OF(busy) && info_number(c, "persistence", busy[quiet]) == 0;) quiet++;
        if (quiet < COUNT_OF(busy)) pause_a_little();
    }
}

void saves_await_count(struct client *c, const char *field, int64_t least) {
    for (int waited = 0; info_number(c, "persistence", field) < least; waited++) {
        if (waited > PATIENCE_MS / 2) HARNESS_FAIL("%s does not come to %lld", field, (long long)least);
        pause_a_little();
    }
}

/* Another snapshot may still be on its way out. */
static void begin(struct client *c, const char *command) {
    for (int tries = 0;; tries++) {
        const char *reply = client_ask(c, "%s", command);
        if (reply[0] == '+') return;
        if (!strstr(reply, "in progress") || tries > PATIENCE_MS / 2) HARNESS_FAIL("%s: %s", command, reply);
        pause_a_little();
    }
}

static void assert_status(struct client *c, const char *field) {
    if (strcmp(info_field(c, "persistence", field), "ok") != 0)
        HARNESS_FAIL("%s is %s", field, info_field(c, "persistence", field));
}

void saves_save(struct client *c) {
    begin(c, "BGSAVE");
    saves_await(c);
    assert_status(c, "rdb_last_bgsave_status");
}

void saves_rewrite(struct client *c) {
    int64_t before = info_number(c, "persistence", "aof_rewrites");
    begin(c, "BGREWRITEAOF");
    saves_await(c);
    assert_status(c, "aof_last_bgrewrite_status");
    if (info_number(c, "persistence", "aof_rewrites") <= before) HARNESS_FAIL("nothing was rewritten");
}

void saves_digest(struct client *c, char digest[DIGEST_TEXT]) {
    snprintf(digest, DIGEST_TEXT, "%s", client_ask(c, "DEBUG DIGEST"));
    if (digest[0] != '+') HARNESS_FAIL("no digest: %s", digest);
}

void saves_begin(struct client *c, char digest[DIGEST_TEXT]) {
    assert_reply(c, "CLIENT PAUSE 600000 WRITE", "+OK");
    saves_digest(c, digest);
    begin(c, "BGSAVE");
    assert_reply(c, "CLIENT UNPAUSE", "+OK");
}

struct server *saves_load(struct server *s) {
    const char *args[] = { "--dir", server_folder(s), "--appendonly", "no", NULL };
    return server_launch(&(struct server_plan){ .args = args });
}

void saves_assert_loads(struct server *s, const char *digest) {
    struct server *other = saves_load(s);
    struct client *c = server_connect(other);
    check_reply(c, "DEBUG DIGEST", digest, __FILE__, __LINE__);
    client_close(c);
    server_free(other);
}

void saves_assert_survives(struct server *s) {
    char before[DIGEST_TEXT];
    struct client *c = server_connect(s);
    saves_digest(c, before);
    client_close(c);
    server_kill(s);
    server_restart(s);
    c = server_connect(s);
    check_reply(c, "DEBUG DIGEST", before, __FILE__, __LINE__);
    client_close(c);
}
