/* test_power_replica.c: the power of a replica fails, again and again, and its primary is gone too: what
 * WAITAOF said to be on the replica's disk is there.
 *
 * The replica runs on a disk that remembers what was fsynced (tests/faults); the primary has none at all. In
 * each round the replica is synchronized anew, and its files are replaced by those of the rewrite that
 * follows. */
#include "../faults/power_cut.h"
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "rounds.h"
#include "writer.h"
#include <sys/stat.h>

#ifdef TRIVET_SANITIZE
#define ROUNDS 2
#define ANSWERS 200
#else
#define ROUNDS 3
#define ANSWERS 2000
#endif
#define WRITERS 4
#define PATIENCE_MS 60000

static struct power power;
static char top[64], data[80], side[80];
static struct writer writers[WRITERS];
static atomic_ulong answers;
static uint64_t chance = 88172645463325252u;

static int setup(void **state) {
    (void)state;
    strcpy(top, "/tmp/trivet-power-XXXXXX");
    if (!mkdtemp(top)) return -1;
    snprintf(data, sizeof data, "%s/data", top);
    snprintf(side, sizeof side, "%s/side", top);
    return mkdir(data, 0755) == 0 && mkdir(side, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    disk_release();
    power_empty(top);
    return rmdir(top);
}

static void begin_writers(void) {
    for (int i = 0; i < WRITERS; i++)
        writers[i] = (struct writer){ .index = i,
                                      .depth = i % 2 ? 20 : 1,
                                      .random = chance + (uint64_t)i,
                                      .young_ms = KEPT_BY_MARKS,
                                      .asking = ASKS_REPLICAS_DISK,
                                      .answers = &answers };
}

static void follow(struct server *s, struct server *primary) {
    struct client *c = server_connect(s);
    char command[64];
    snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %d", server_port(primary));
    assert_reply(c, command, "+OK");
    assert_reply_soon(c, "ROLE", "*[$\"slave\", ..., $\"connected\", ...]");
    client_close(c);
}

static void follow_nobody(struct server *s) {
    struct client *c = server_connect(s);
    assert_reply(c, "REPLICAOF NO ONE", "+OK");
    client_close(c);
}

static void write_and_die(struct server *primary, struct server *replica) {
    unsigned long wanted = ANSWERS + model_random(&chance, ANSWERS);
    atomic_store(&answers, 0);
    for (int i = 0; i < WRITERS; i++) writer_start(&writers[i], server_connect(primary));
    for (int64_t began = now_ms(); atomic_load(&answers) < wanted; nap(200))
        if (now_ms() - began > PATIENCE_MS) fail_msg("the writers do not get on: %lu", atomic_load(&answers));
    server_kill(replica);
    server_kill(primary);
    for (int i = 0; i < WRITERS; i++) writer_join(&writers[i]);
}

/* Returns how many steps were owed. */
static size_t check(struct server *s) {
    struct client *c = server_connect(s);
    size_t owed = 0;
    for (int i = 0; i < WRITERS; i++) {
        owed += writer_keep(&writers[i], OWED_ONE_COPY);
        (void)writer_settle(&writers[i], c);
    }
    client_close(c);
    return owed;
}

static void what_waitaof_said_survives_a_replicas_power_cut(void **state) {
    (void)state;
    size_t owed = 0;
    struct server *primary = server_launch(&(struct server_plan){ .tcp = true });
    disk_watch(data, side);
    power_begin(&power, data, side);
    const char *const args[] = { "--appendonly", "yes", "--appendfsync", "everysec", "--dir", data, NULL };
    struct server *replica = server_launch(&(struct server_plan){ .args = args, .tcp = true });
    int rounds = rounds_wanted(ROUNDS);
    begin_writers();
    for (int i = 1; i <= rounds; i++) {
        follow(replica, primary);
        write_and_die(primary, replica);
        power_cut(&power, (struct power_plan){ (enum power_part)model_random(&chance, 3),
                                               (enum power_part)model_random(&chance, 3),
                                               model_random(&chance, 2) == 0 });
        power_begin(&power, data, side);
        server_restart(replica);
        owed += check(replica);
        /* The primary comes back without data, and gets those of the replica. */
        server_restart(primary);
        follow(primary, replica);
        follow_nobody(primary);
        rounds_print("replica", i, rounds);
    }
    assert_true(owed > 0);
    server_free(replica);
    server_free(primary);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waitaof_said_survives_a_replicas_power_cut, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
