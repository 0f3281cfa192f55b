/* restart.c: Trivet is killed and must come back from its append-only file with the same data.
 *
 * Equal is its own DEBUG DIGEST, before and after, and its picture of what a digest does not know: all of
 * the streams but the entries, and functions. Then the whole state is compared with the reference's, which
 * lives on: that sees the times of expiry too. (The reference's own file would not do: it forgets how often
 * entries were delivered again and what groups have read.) No key's time is so near that it could pass
 * meanwhile (chance.c). The commands that follow run on what was loaded. */
#include "../harness/check.h"
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

void side_connect(struct side *side) {
    for (int i = 0; i < CONNECTIONS; i++) side->clients[i] = server_connect(side->server);
    side->inspector = server_connect(side->server);
}

void side_disconnect(struct side *side) {
    for (int i = 0; i < CONNECTIONS; i++) client_close(side->clients[i]);
    client_close(side->inspector);
}

static struct node *digest_of(struct side *side) {
    struct node *digest = client_ask_node(side->inspector, "DEBUG DIGEST");
    if (digest->kind == '+') return digest;
    fprintf(stderr, "DEBUG DIGEST of %s failed: %s\n", side->name, text_str(&digest->bytes));
    exit(EXIT_FAILURE);
}

/* ---- pictures of streams ---- */

/* One line: groups, consumers and what is pending, times of delivery included; but not when a consumer was
 * last seen or served, which no replay knows. */
static void add_stream(struct text *picture, struct side *side, const struct text *key) {
    static const char *const unknown_later[] = { "seen-time", "active-time", NULL };
    struct words w = { 0 };
    if (!words_split(&w, "XINFO STREAM")) abort();
    words_add(&w, key->ptr, key->len);
    words_add_str(&w, "FULL");
    words_add_str(&w, "COUNT");
    words_add_str(&w, "0");
    struct node *all = ask_side(side, &w);
    node_drop_fields(all, unknown_later);
    text_append_quoted(picture, text_slice(key));
    node_describe(all, picture);
    text_append_char(picture, '\n');
    node_free(all);
    words_release(&w);
}

static void add_if_stream(struct text *picture, struct side *side, const struct text *key) {
    struct words type = { 0 };
    words_add_str(&type, "TYPE");
    words_add(&type, key->ptr, key->len);
    struct node *reply = ask_side(side, &type);
    if (strcmp(text_str(&reply->bytes), "stream") == 0) add_stream(picture, side, key);
    node_free(reply);
    words_release(&type);
}

static void describe_streams(struct text *picture, struct side *side) {
    for (int database = 0; database < DATABASES; database++) {
        node_free(client_ask_node(side->inspector, "SELECT %d", database));
        struct node *keys = client_ask_node(side->inspector, "KEYS *");
        node_sort(keys);
        for (size_t i = 0; i < keys->count; i++) add_if_stream(picture, side, &keys->items[i]->bytes);
        node_free(keys);
    }
}

/* ---- the restart ---- */

/* A replay may change how a string is kept: INCRBYFLOAT is replayed as SET, and from text that looks like an
 * integer it makes one. So each string is set anew, on both sides. */
static void rewrite_string(struct pair *p, const struct text *key) {
    struct words command = { 0 };
    words_add_str(&command, "GET");
    words_add(&command, key->ptr, key->len);
    struct node *value = ask_both(p, COMPARE_EXACT, &command);
    words_clear(&command);
    words_add_str(&command, "SET");
    words_add(&command, key->ptr, key->len);
    words_add(&command, value->bytes.ptr, value->bytes.len);
    words_add_str(&command, "KEEPTTL");
    node_free(ask_both(p, COMPARE_EXACT, &command));
    node_free(value);
    words_release(&command);
}

static void rewrite_strings(struct pair *p) {
    struct words command = { 0 };
    for (int database = 0; database < DATABASES; database++) {
        words_clear(&command);
        words_add_str(&command, "SELECT");
        words_printf(&command, "%d", database);
        node_free(ask_both(p, COMPARE_EXACT, &command));
        if (!words_split(&command, "SCAN 0 COUNT 1000000 TYPE string")) abort();
        struct node *page = ask_side(&p->reference, &command);
        for (size_t i = 0; i < page->items[1]->count; i++)
            rewrite_string(p, &page->items[1]->items[i]->bytes);
        node_free(page);
    }
    words_release(&command);
}

/* What belongs to a connection, such as WATCH and RESP3, ends with it on both sides; so do the scripts that
 * EVALSHA finds. */
static void kill_and_restart(struct pair *p) {
    server_kill(p->trivet.server);
    side_disconnect(&p->trivet);
    side_disconnect(&p->reference);
    server_restart(p->trivet.server);
    side_connect(&p->trivet);
    side_connect(&p->reference);
    ask_line(p, COMPARE_EXACT, "SCRIPT FLUSH"); /* of Trivet's scripts none is left */
}

static void describe_functions(struct text *picture, struct side *side) {
    struct node *all = client_ask_node(side->inspector, "FUNCTION LIST WITHCODE");
    node_sort_deep(all);
    node_describe(all, picture);
    node_free(all);
}

/* Everything that must outlive a kill. */
struct picture {
    struct node *digest;
    struct text undigested;
};

static void picture_take(struct picture *picture, struct side *side) {
    picture->digest = digest_of(side);
    describe_streams(&picture->undigested, side);
    describe_functions(&picture->undigested, side);
}

static void picture_release(struct picture *picture) {
    node_free(picture->digest);
    text_release(&picture->undigested);
}

/* The key that differs is named by the comparison with the reference, if that sees it. */
static void demand_equal(struct pair *p, const struct picture *before, const struct picture *after) {
    struct words command = { 0 };
    bool same = slice_equal(text_slice(&before->digest->bytes), text_slice(&after->digest->bytes));
    words_add_str(&command, "DEBUG DIGEST before and after SIGKILL");
    if (!same) newer_forget(&p->trivet);
    if (!same) compare_states(p);
    if (!same) report_difference(&command, before->digest, after->digest, "restart");
    if (!slice_equal(text_slice(&before->undigested), text_slice(&after->undigested))) {
        printf("\nStreams and functions before SIGKILL:\n%s\nand after it:\n%s\n",
               text_str(&before->undigested), text_str(&after->undigested));
        report_difference(&command, NULL, NULL, "restart");
    }
    words_release(&command);
}

void check_restart(struct pair *p, struct chance *c, size_t done) {
    struct picture before = { 0 }, after = { 0 };
    compare_states(p);
    newer_run(&p->trivet, c);
    picture_take(&before, &p->trivet);
    kill_and_restart(p);
    picture_take(&after, &p->trivet);
    demand_equal(p, &before, &after);
    newer_forget(&p->trivet);
    rewrite_strings(p);
    compare_states(p);
    printf("  %zu commands, killed and restarted, digest %s\n", done, text_str(&after.digest->bytes));
    fflush(stdout);
    picture_release(&before);
    picture_release(&after);
}

void await_background(struct pair *p, const char *field) {
    const struct side *sides[] = { &p->reference, &p->trivet };
    for (size_t i = 0; i < COUNT_OF(sides); i++)
        assert_info_soon(sides[i]->inspector, "persistence", field, "0");
}

/* At the very end: what comes from a snapshot may be in another encoding than the reference's. */
void check_rewrite(struct pair *p) {
    struct picture before = { 0 }, after = { 0 };
    ask_line(p, COMPARE_EXACT, "BGREWRITEAOF");
    await_background(p, "aof_rewrite_in_progress");
    picture_take(&before, &p->trivet);
    kill_and_restart(p);
    picture_take(&after, &p->trivet);
    demand_equal(p, &before, &after);
    printf("  file rewritten, killed and restarted, digest %s\n", text_str(&after.digest->bytes));
    picture_release(&before);
    picture_release(&after);
}
