/* game.c: see game.h. */
#include "game.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

void *game_play(struct game *game, void (*part)(struct player *)) {
    struct player p = { game, server_connect(game->server), atomic_fetch_add(&game->next_number, 1) };
    part(&p);
    client_close(p.client);
    return NULL;
}

/* Fails the test, later, from any thread. */
void game_expect(struct player *p, bool holds, const char *what, const char *got) {
    if (holds || atomic_fetch_add(&p->game->failures, 1) > 3) return;
    fprintf(stderr, "player %d: %s: %s\n", p->number, what, got);
}

void game_expect_reply(struct player *p, const char *command, const char *expected) {
    const char *got = client_ask(p->client, "%s", command);
    if (!text_matches(expected, got)) game_expect(p, false, command, got);
}

/* ---- the disturbers: they run until the game is over ---- */

static void disturb(struct player *p) {
    static const char *const commands[][2] = {
        { "FLUSHDB", "+OK" },
        { "CONFIG SET hz 50", "+OK" },
        { "CLIENT LIST", "$\"id=..." },
        { "SWAPDB 6 7", "+OK" },
        { "CONFIG SET maxmemory-samples 7", "+OK" },
        { "INFO", "$\"..." },
        { "KEYS *", "*[..." },
        { "CLIENT NO-EVICT on", "+OK" },
        { "CONFIG RESETSTAT", "+OK" },
        { "DBSIZE", ":..." },
        { "SCAN 0", "*[..." },
        { "RANDOMKEY", "$..." },
        { "PUBLISH ch hello", ":..." },
    };
    game_expect_reply(p, "SELECT 5", "+OK");
    while (!atomic_load(&p->game->over)) {
        for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
            client_ask(p->client, "SET k:%d v", p->number);
            game_expect_reply(p, commands[i][0], commands[i][1]);
        }
    }
}

static void come_and_go(struct player *p) {
    static const char *const lasts[] = { "PING",  "SUBSCRIBE a b c",          "WATCH n",
                                         "MULTI", "CLIENT TRACKING on BCAST", "MONITOR" };
    for (size_t i = 0; !atomic_load(&p->game->over); i++) {
        struct client *c = server_connect(p->game->server);
        const char *got = client_ask(c, "%s", lasts[i % (sizeof lasts / sizeof lasts[0])]);
        game_expect(p, got[0] != '-', "a newcomer", got);
        if (i % 2)
            client_close(c);
        else
            client_abandon(c);
    }
}

static void *disturber(void *arg) { return game_play(arg, disturb); }
static void *passer_by(void *arg) { return game_play(arg, come_and_go); }

/* Runs TEAM threads of `part`, and of `other` if there is one, among disturbers. */
void game_run(void **state, void *(*part)(void *), void *(*other)(void *)) {
    struct game game = { .server = ((struct fixture *)*state)->server };
    pthread_t players[2 * TEAM], disturbers[2];
    int count = 0;
    pthread_create(&disturbers[0], NULL, disturber, &game);
    pthread_create(&disturbers[1], NULL, passer_by, &game);
    for (int i = 0; i < TEAM; i++) pthread_create(&players[count++], NULL, part, &game);
    for (int i = 0; other && i < TEAM; i++) pthread_create(&players[count++], NULL, other, &game);
    for (int i = 0; i < count; i++) pthread_join(players[i], NULL);
    atomic_store(&game.over, true);
    for (int i = 0; i < 2; i++) pthread_join(disturbers[i], NULL);
    assert_int_equal(game.failures, 0);
}

void game_assert_number(struct client *c, const char *key, int expected) {
    char command[32], reply[32];
    snprintf(command, sizeof command, "GET %s", key);
    snprintf(reply, sizeof reply, "$\"%d\"", expected);
    assert_reply(c, command, reply);
}
