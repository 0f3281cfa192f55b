/* test_random.c: the numbers that scripts draw: always the same after a start or a seed. */
#include "fixture.h"
#include <pthread.h>

/* Before any other: there is one state for the process, and other tests set it. */
static void after_the_start_the_numbers_are_known(void **state) {
    static const struct example examples[] = {
        { "math.random(1000), math.random(1000)", "397 841" },
        { "math.random(1000), math.random(1000)", "354 447" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_seed_decides_what_comes(void **state) {
    static const struct example examples[] = {
        { "math.randomseed(1)", "" },
        { "math.random(), math.random(1000), math.random(5, 6), math.random(-5, 5)",
          "0.041630344484760586 455 6 -2" },
        { "math.randomseed(0)", "" },
        { "math.random(), math.random(1000)", "0.1708280361121651 750" },
        { "math.randomseed(-1)", "" },
        { "math.random()", "0.3000257272739083" },
        { "math.randomseed('1', 2, 3)", "" },
        { "math.random()", "0.041630344484760586" },
        { "math.randomseed(1.9)", "" },
        { "math.random()", "0.041630344484760586" },
        { "math.randomseed(2^32+1)", "" },
        { "math.random()", "0.041630344484760586" },
        { "math.randomseed(1e300)", "" },
        { "math.random()", "0.1708280361121651" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void a_number_is_of_its_interval(void **state) {
    static const struct example examples[] = {
        { "math.randomseed(1)", "" },
        { "math.random(1), math.random(7, 7), math.random(3.99), math.random(3.99, 4.5), math.random('10')",
          "1 7 3 3 6" },
        { "math.random(2^31-1), math.random(2^31-1)", "3794416 402845421" },
        { "math.random(2^32+7)", "7" },
        { "math.random(-3, -1), math.random(-3, -1), math.random(-3, -1)", "-1 -2 -2" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void intervals_wrap_at_32_bits(void **state) {
    static const struct example examples[] = {
        { "math.randomseed(1)", "" },
        { "math.random(-2^31, 2^31-1), math.random(-2^31, 2^31-1)", "-2147483648 -2147483648" },
        { "math.random(0, 2^31-1), math.random(0, 2^31-1)", "-1792756326 -721524506" },
        { "math.random(-1, 2^31-1), math.random(-2^31, 0), math.random(-2^31, -1)",
          "-1214379248 -2151278063 -2550329069" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

static void wrong_arguments_are_refused_and_take_a_number(void **state) {
    static const struct example examples[] = {
        { "math.randomseed(1)", "" },
        { "math.random(0)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random()", "0.45449244484980239" },
        { "math.randomseed(1)", "" },
        { "math.random(-1)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random(0.9)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random(2^31)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random(2^32)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random(1e300)", "error: bad argument #1 to 'random' (interval is empty)" },
        { "math.random('x')", "error: bad argument #1 to 'random' (number expected, got string)" },
        { "math.random(nil)", "error: bad argument #1 to 'random' (number expected, got nil)" },
        { "math.random(2, 1)", "error: bad argument #2 to 'random' (interval is empty)" },
        { "math.random(1, 'x')", "error: bad argument #2 to 'random' (number expected, got string)" },
        { "math.random('x', {})", "error: bad argument #1 to 'random' (number expected, got string)" },
        { "math.random(1, 2, 3)", "error: wrong number of arguments" },
        { "math.random('x', 2, nil)", "error: wrong number of arguments" },
        { "math.random()", "0.13255423034194588" },
        { "math.randomseed()", "error: bad argument #1 to 'randomseed' (number expected, got no value)" },
        { "math.randomseed('x')", "error: bad argument #1 to 'randomseed' (number expected, got string)" },
        { "math.randomseed({})", "error: bad argument #1 to 'randomseed' (number expected, got table)" },
        { "math.random()", "0.0641664751172841" },
    };
    (void)state;
    check_examples(examples, COUNT_OF(examples));
}

enum { DRAWERS = 4, DRAWS = 5000 };

struct drawer {
    pthread_t thread;
    lua_State *L;
    double *drawn;
};

static void *draw(void *arg) {
    struct drawer *d = arg;
    for (int i = 0; i < DRAWS; i++) {
        lua_getglobal(d->L, "math");
        lua_getfield(d->L, -1, "random");
        lua_call(d->L, 0, 1);
        d->drawn[i] = lua_tonumber(d->L, -1);
        lua_settop(d->L, 0);
    }
    return NULL;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* `drawers` threads side by side, each with an interpreter of its own, draw `total` numbers. */
static void draw_all(int drawers, int total, double *out) {
    static struct allowance allowances[DRAWERS];
    struct drawer all[DRAWERS];
    for (int i = 0; i < drawers; i++)
        all[i] = (struct drawer){ .L = new_interpreter(&allowances[i]), .drawn = out + i * DRAWS };
    assert_int_equal(luaL_dostring(all[0].L, "math.randomseed(7)"), 0);
    if (drawers == 1) {
        for (int at = 0; at < total; at += DRAWS, all[0].drawn += DRAWS) draw(&all[0]);
    } else {
        for (int i = 0; i < drawers; i++)
            assert_int_equal(pthread_create(&all[i].thread, NULL, draw, &all[i]), 0);
        for (int i = 0; i < drawers; i++) pthread_join(all[i].thread, NULL);
    }
    for (int i = 0; i < drawers; i++) lua_close(all[i].L);
    qsort(out, (size_t)total, sizeof *out, compare_doubles);
}

/* Together they get what one would get alone: no number twice, none left out. */
static void threads_share_one_sequence(void **state) {
    static double alone[DRAWERS * DRAWS], together[DRAWERS * DRAWS];
    (void)state;
    draw_all(1, DRAWERS * DRAWS, alone);
    draw_all(DRAWERS, DRAWERS * DRAWS, together);
    assert_memory_equal(alone, together, sizeof alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_the_start_the_numbers_are_known),
        cmocka_unit_test(a_seed_decides_what_comes),
        cmocka_unit_test(a_number_is_of_its_interval),
        cmocka_unit_test(intervals_wrap_at_32_bits),
        cmocka_unit_test(wrong_arguments_are_refused_and_take_a_number),
        cmocka_unit_test(threads_share_one_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
