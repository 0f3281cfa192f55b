/* gen_hash.c: random commands of group hash, as far as 7.0 knows them: fields with a time of their own are
 * newer. What chance decides (HRANDFIELD) is compared by its kind, or asked of hashes of one field. */
#include "differential.h"

/* Keys of their own, so that hashes grow across the limits; now and then one that all groups share. */
static void add_hash_key(struct chance *c, struct words *w) {
    if (chance_of(c, 25))
        add_key(c, w);
    else
        words_printf(w, "hash:%zu", chance_below(c, 8));
}

static void add_field(struct chance *c, struct words *w) {
    size_t roll = chance_below(c, 100);
    if (roll < 40)
        words_printf(w, "f%zu", chance_below(c, chance_of(c, 20) ? 700 : 20));
    else if (roll < 80)
        words_printf(w, "%zu", chance_below(c, chance_of(c, 20) ? 700 : 20));
    else
        add_small_value(c, w);
}

static void make_hset(struct chance *c, struct script *s) {
    static const char *const names[] = { "HSET", "HSET", "HMSET", "hset", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_hash_key(c, w);
    for (size_t i = 1 + limit_below(c, chance_of(c, 8) ? 300 : 4, "hash-max-listpack-entries"); i > 0; i--) {
        add_field(c, w);
        if (chance_of(c, 99))
            add_small_value(c, w);
        else
            add_value(c, w);
    }
}

static void make_hsetnx(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "HSETNX");
    add_hash_key(c, w);
    add_field(c, w);
    add_small_value(c, w);
}

static void make_of_field(struct chance *c, struct script *s) {
    static const char *const names[] = { "HGET", "HGET", "HEXISTS", "HSTRLEN", "hget", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, chance_pick(c, names));
    add_hash_key(c, w);
    add_field(c, w);
}

static void make_of_fields(struct chance *c, struct script *s) {
    bool deletes = chance_of(c, 60);
    struct words *w = script_command(s, COMPARE_EXACT, deletes ? "HDEL" : "HMGET");
    add_hash_key(c, w);
    for (size_t i = 1 + chance_below(c, chance_of(c, 10) ? 100 : 4); i > 0; i--) add_field(c, w);
}

static void make_of_key(struct chance *c, struct script *s) {
    static const char *const names[] = { "HLEN", "HKEYS", "HVALS", "hlen", "TYPE", NULL };
    const char *name = chance_pick(c, names);
    bool list = name[1] == 'K' || name[1] == 'V';
    add_hash_key(c, script_command(s, list ? COMPARE_SORTED : COMPARE_EXACT, name));
}

static void make_hincrby(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "HINCRBY");
    add_hash_key(c, w);
    add_field(c, w);
    add_integer(c, w);
}

static void make_hincrbyfloat(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "HINCRBYFLOAT");
    add_hash_key(c, w);
    add_field(c, w);
    add_float(c, w);
}

static void make_hrandfield(struct chance *c, struct script *s) {
    static const char *const counts[] = {
        "1", "-1", "3", "-7", "0", "a", "9223372036854775807", "4611686018427387904", "-9223372036854775808",
        NULL
    };
    struct words *w = script_command(s, COMPARE_KIND, "HRANDFIELD");
    words_printf(w, "hash:%zu", chance_below(c, 8));
    w = script_command(s, COMPARE_EXACT, "HRANDFIELD none");
    words_add_str(w, chance_pick(c, counts));
    if (chance_of(c, 40)) words_add_str(w, chance_of(c, 80) ? "WITHVALUES" : "FOO");
    if (chance_of(c, 5)) words_add_str(w, "WITHVALUES");
}

static void make_copy(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, chance_of(c, 50) ? "COPY" : "RENAME");
    add_hash_key(c, w);
    add_hash_key(c, w);
}

static void make_del(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "DEL");
    words_printf(w, "hash:%zu", chance_below(c, 8));
}

const struct generator hash_generators[] = {
    { "HSET HMSET", 40, make_hset },
    { "HSETNX", 6, make_hsetnx },
    { "HGET HEXISTS HSTRLEN", 14, make_of_field },
    { "HDEL HMGET", 20, make_of_fields },
    { "HLEN HKEYS HVALS", 6, make_of_key },
    { "HINCRBY", 8, make_hincrby },
    { "HINCRBYFLOAT", 8, make_hincrbyfloat },
    { "HRANDFIELD", 2, make_hrandfield },
    { "COPY RENAME", 2, make_copy },
    { "DEL", 1, make_del },
    { NULL, 0, NULL },
};

/* ---- probes ---- */

static void probe_hscan(struct pair *p, struct chance *c) {
    static const char *const options[] = { "",  "COUNT 1", "COUNT 1000", "MATCH f*", "MATCH *[0-3] COUNT 50",
                                           NULL };
    struct text line = { 0 };
    text_printf(&line, "SELECT %zu", chance_below(c, DATABASES));
    ask_line(p, COMPARE_EXACT, text_str(&line));
    text_clear(&line);
    text_printf(&line, "HSCAN hash:%zu", chance_below(c, 8));
    probe_collection(p, text_str(&line), chance_pick(c, options));
    text_clear(&line);
    text_printf(&line, "HGETALL hash:%zu", chance_below(c, 8));
    ask_line(p, COMPARE_SORTED, text_str(&line));
    text_release(&line);
}

/* Hashes of one field, where chance has no choice. */
static void probe_hrandfield(struct pair *p, struct chance *c) {
    static const char *const asks[] = { "HRANDFIELD single",
                                        "HRANDFIELD single 3",
                                        "HRANDFIELD single 1 WITHVALUES",
                                        "HRANDFIELD single -3 withvalues",
                                        "HRANDFIELD single 0",
                                        "HRANDFIELD single 2 FOO",
                                        NULL };
    ask_line(p, COMPARE_EXACT, chance_of(c, 50) ? "HSET single 17 42" : "HSET single field value");
    for (int i = 0; i < 3; i++) ask_line(p, COMPARE_EXACT, chance_pick(c, asks));
    ask_line(p, COMPARE_EXACT, "DEL single");
}

const struct probe hash_probes[] = {
    { "HSCAN HGETALL", probe_hscan },
    { "HRANDFIELD of one", probe_hrandfield },
    { NULL, NULL },
};
