/* chance.c: random numbers and the random arguments that several groups of commands share. */
#include "differential.h"
#include <stdlib.h>

#define FAR_SECONDS 4102444800 /* the year 2100; a few seconds from there so that equal times meet */
#define RUN_SECONDS 500000     /* no run takes so long */

/* SplitMix64: every seed is good, and it is the same everywhere. */
uint64_t chance_next(struct chance *c) {
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t chance_below(struct chance *c, size_t bound) { return (size_t)(chance_next(c) % bound); }

bool chance_of(struct chance *c, unsigned percent) { return chance_below(c, 100) < percent; }

const char *chance_pick(struct chance *c, const char *const *list) {
    size_t count = 0;
    while (list[count]) count++;
    return list[chance_below(c, count)];
}

static void add_bytes(struct chance *c, struct words *w, size_t len, bool binary) {
    struct text bytes = { 0 };
    char *out = text_reserve(&bytes, len);
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(binary ? chance_below(c, 256) : 'a' + chance_below(c, 4));
    words_add(w, out, len);
    text_release(&bytes);
}

void add_key(struct chance *c, struct words *w) {
    static const char *const special[] = {
        "", "{tag}a", "{tag}b", "with space", "12345", "k*", "k[0]", NULL
    };
    size_t roll = chance_below(c, 100);
    if (roll < 88)
        words_printf(w, "k%zu", chance_below(c, 12));
    else if (roll < 94)
        words_add_str(w, chance_pick(c, special));
    else if (roll < 97)
        words_add(w, "binary\0\r\n\xff", 10);
    else
        words_printf(w, "long-%0300zu", chance_below(c, 2));
}

static const char *const integers[] = {
    "0",
    "1",
    "-1",
    "2",
    "10",
    "127",
    "128",
    "255",
    "9999",
    "10000",
    "-128",
    "32767",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775806",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
    NULL,
};
static const char *const no_integers[] = {
    "",
    " 1",
    "1 ",
    "01",
    "+1",
    "-0",
    "-",
    "1.0",
    "1e3",
    "abc",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "0x10",
    "inf",
    "nan",
    NULL,
};
static const char *const floats[] = {
    "0.1",          "-0.1",     "3.0e3", "1.5",   "-2.25",       "1e-5",
    "100000000.25", "0.000001", "1e15",  "-1e17", "1234567.875", NULL,
};
static const size_t sizes[] = { 0, 1, 2, 7, 20, 43, 44, 45, 46, 63, 64, 65, 127, 128, 200, 255, 256, 300 };
static const size_t big_sizes[] = { 1000, 1024, 4095, 4096, 16384, 16385, 20000, 20480 };

void add_small_value(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 35)
        words_printf(w, "%lld", (long long)chance_below(c, 200000) - 100000);
    else if (roll < 50)
        words_add_str(w, chance_pick(c, integers));
    else if (roll < 55)
        words_add_str(w, chance_pick(c, no_integers));
    else if (roll < 60)
        words_add_str(w, chance_pick(c, floats));
    else
        add_bytes(c, w, sizes[chance_below(c, COUNT_OF(sizes))], chance_of(c, 30));
}

void add_value(struct chance *c, struct words *w) {
    if (chance_of(c, 4))
        add_bytes(c, w, big_sizes[chance_below(c, COUNT_OF(big_sizes))], chance_of(c, 30));
    else
        add_small_value(c, w);
}

void add_integer(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 60)
        words_printf(w, "%lld", (long long)chance_below(c, 2000) - 1000);
    else if (roll < 92)
        words_add_str(w, chance_pick(c, integers));
    else
        words_add_str(w, chance_pick(c, no_integers));
}

void add_index(struct chance *c, struct words *w) {
    static const char *const edges[] = { "0",
                                         "-1",
                                         "1",
                                         "-2",
                                         "43",
                                         "44",
                                         "45",
                                         "1000000",
                                         "-1000000",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "a",
                                         "",
                                         "1.5",
                                         NULL };
    if (chance_of(c, 70))
        words_printf(w, "%lld", (long long)chance_below(c, 200) - 60);
    else
        words_add_str(w, chance_pick(c, edges));
}

void add_float(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 40)
        words_add_str(w, chance_pick(c, floats));
    else if (roll < 60)
        words_add_str(w, chance_pick(c, no_integers));
    else
        words_printf(w, "%.*f", (int)chance_below(c, 5), ((double)chance_below(c, 2000000) - 1000000) / 1000);
}

void add_database(struct chance *c, struct words *w) {
    static const char *const bad[] = { "16", "-1", "a", "99999999999", "", "2147483648", NULL };
    if (chance_of(c, 94))
        words_printf(w, "%zu", chance_below(c, DATABASES));
    else
        words_add_str(w, chance_pick(c, bad));
}

static const char *const bad_times[] = { "a",
                                         "",
                                         "1.5",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "9223372036854775808",
                                         "9223372036854776",
                                         "-9223372036854776",
                                         NULL };

void add_seconds(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 85)
        words_printf(w, "%zu", RUN_SECONDS + chance_below(c, 1000000));
    else if (roll < 90)
        words_add_str(w, roll % 2 ? "0" : "-1");
    else
        words_add_str(w, chance_pick(c, bad_times));
}

void add_milliseconds(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 85)
        words_printf(w, "%zu", RUN_SECONDS * 1000 + chance_below(c, 1000000000));
    else if (roll < 90)
        words_add_str(w, roll % 2 ? "0" : "-1");
    else
        words_add_str(w, chance_pick(c, bad_times));
}

void add_unix_seconds(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 85)
        words_printf(w, "%zu", FAR_SECONDS + chance_below(c, 5));
    else if (roll < 92)
        words_add_str(w, roll % 2 ? "1" : "1000000000");
    else
        words_add_str(w, chance_pick(c, bad_times));
}

void add_unix_milliseconds(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 85)
        words_printf(w, "%zu", FAR_SECONDS * 1000 + chance_below(c, 5) * 500);
    else if (roll < 92)
        words_add_str(w, roll % 2 ? "1" : "1000000000000");
    else
        words_add_str(w, chance_pick(c, bad_times));
}

void add_expiry_form(struct chance *c, struct words *w, unsigned which) {
    static const struct {
        const char *word;
        void (*add_time)(struct chance *c, struct words *w);
    } forms[EXPIRY_FORMS] = { { "EX", add_seconds },
                              { "PX", add_milliseconds },
                              { "EXAT", add_unix_seconds },
                              { "pxat", add_unix_milliseconds } };
    words_add_str(w, forms[which].word);
    forms[which].add_time(c, w);
}
