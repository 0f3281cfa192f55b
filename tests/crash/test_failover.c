/* test_failover.c: a primary and two replicas, of which some die under load, again and again. See rig.h. */
#include "../harness/fixture.h"
#include "rig.h"
#include <stdlib.h>

#ifdef TRIVET_SANITIZE
#define ROUNDS 2
#else
#define ROUNDS 5
#endif

static void what_replicas_have_survives_the_primary(void **state) {
    (void)state;
    rig_run(&(struct rig_plan){ .name = "memory", .kinds = "ttt", .rounds = ROUNDS });
}

static void what_replicas_have_survives_the_primary_of_either_kind(void **state) {
    (void)state;
    rig_run(&(struct rig_plan){ .name = "mixed", .kinds = "trt", .rounds = ROUNDS });
}

static void what_is_on_disk_survives_the_death_of_all(void **state) {
    (void)state;
    rig_run(&(struct rig_plan){ .name = "disk", .kinds = "ttt", .aof = true, .rounds = ROUNDS });
}

static void what_two_replicas_have_survives_a_failover_by_sentinels(void **state) {
    (void)state;
    rig_run(&(struct rig_plan){ .name = "sentinels", .kinds = "ttr", .sentinels = true, .rounds = 1 });
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_replicas_have_survives_the_primary),
        cmocka_unit_test(what_replicas_have_survives_the_primary_of_either_kind),
        cmocka_unit_test(what_is_on_disk_survives_the_death_of_all),
        cmocka_unit_test(what_two_replicas_have_survives_a_failover_by_sentinels),
    };
    cmocka_set_test_filter(getenv("TRIVET_FILTER")); /* "*disk*": some of them */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
