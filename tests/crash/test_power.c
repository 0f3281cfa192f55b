/* test_power.c: the power fails under load, again and again, while snapshots and rewrites are under way.
 *
 * The server runs on a disk that remembers what was fsynced (tests/faults). It is killed, then the folder is
 * put into a state that a power cut at that moment may leave: names and bytes that were not fsynced are
 * there, or not, or in part, or as zeros. With appendfsync always nothing that was acknowledged may be
 * missing, with everysec nothing that was acknowledged two seconds before; and the server always starts. */
#include "../faults/power_cut.h"
#include "../faults/server_disk.h"
#include "../harness/fixture.h"
#include "writers.h"

#ifdef TRIVET_SANITIZE
#define ROUNDS 2
#define ANSWERS 200
#else
#define ROUNDS 3
#define ANSWERS 1000
#endif
#define EVERYSEC_MS 2000

static struct power power;
static char top[64], data[80], side[80];

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

/* The first one takes all it can. */
static struct power_plan some_plan(int round) {
    if (round == 1) return (struct power_plan){ KEEP_ALL, KEEP_NOTHING, false };
    return (struct power_plan){ (enum power_part)writers_draw(3), (enum power_part)writers_draw(3),
                                writers_draw(2) == 0 };
}

#define ROUNDS_THAT_LOSE 10

static void cut_again_and_again(const char *policy, int young_ms) {
    disk_watch(data, side);
    power_begin(&power, data, side);
    struct server *s =
        server_start("--io-threads", "4", "--appendonly", "yes", "--appendfsync", policy, "--dir", data,
                     "--auto-aof-rewrite-percentage", "50", "--auto-aof-rewrite-min-size", "100kb", NULL);
    int rounds = rounds_wanted(ROUNDS);
    size_t logged = 0;
    uint64_t lost = 0;
    writers_begin(young_ms);
    for (int i = 1; i <= rounds; i++) {
        /* Long enough that most of it is not young any more. */
        writers_run(s, ANSWERS + writers_draw(ANSWERS), young_ms + (int)writers_draw(1000));
        power_cut(&power, some_plan(i));
        lost += power.lost;
        power_begin(&power, data, side);
        server_restart(s);
        logged = log_check(s, logged);
        writers_check(s);
        rounds_print(policy, i, rounds);
    }
    /* Else nothing was tried; but a rewrite just before each of a few cuts may have synced everything. */
    if (young_ms > 0 && rounds >= ROUNDS_THAT_LOSE) assert_true(lost > 0);
    server_free(s);
}

static void always_loses_nothing_acknowledged_in_a_power_cut(void **state) {
    (void)state;
    cut_again_and_again("always", 0);
}

static void everysec_loses_two_seconds_at_most_in_a_power_cut(void **state) {
    (void)state;
    cut_again_and_again("everysec", EVERYSEC_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(always_loses_nothing_acknowledged_in_a_power_cut),
        TEST(everysec_loses_two_seconds_at_most_in_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
