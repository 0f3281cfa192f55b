/* gen_bitmap.c: random commands of group bitmap. */
#include "differential.h"

static void add_bit_offset(struct chance *c, struct words *w) {
    static const char *const wrong[] = { "-1", "a", "4294967296", "", "1.5", NULL };
    if (chance_of(c, 3))
        words_add_str(w, chance_pick(c, wrong));
    else
        words_printf(w, "%zu", chance_below(c, chance_of(c, 10) ? 300000 : 700));
}

static void make_setbit(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "SETBIT");
    add_key(c, w);
    add_bit_offset(c, w);
    words_add_str(w, chance_of(c, 3) ? "2" : chance_of(c, 50) ? "1" : "0");
}

static void make_getbit(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "GETBIT");
    add_key(c, w);
    add_bit_offset(c, w);
}

/* Always well-formed: where arguments are wrong Valkey and Redis 7.0 look at key and arguments in another
 * order. */
static void add_position(struct chance *c, struct words *w) {
    words_printf(w, "%lld", (long long)chance_below(c, 300) - 100);
}

/* BITCOUNT with a start alone is new in Valkey 8. */
static void add_range(struct chance *c, struct words *w, bool needs_end) {
    add_position(c, w);
    if (!needs_end && chance_of(c, 40)) return;
    add_position(c, w);
    if (chance_of(c, 50)) words_add_str(w, chance_of(c, 50) ? "BIT" : "byte");
}

static void make_bitcount(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "BITCOUNT");
    add_key(c, w);
    if (chance_of(c, 70)) add_range(c, w, true);
}

static void make_bitpos(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "BITPOS");
    add_key(c, w);
    words_add_str(w, chance_of(c, 50) ? "1" : "0");
    if (chance_of(c, 70)) add_range(c, w, false);
}

static void make_bitop(struct chance *c, struct script *s) {
    static const char *const operations[] = { "AND", "OR", "XOR", "NOT", "and", "xor", NULL };
    struct words *w = script_command(s, COMPARE_EXACT, "BITOP");
    words_add_str(w, chance_of(c, 2) ? "NAND" : chance_pick(c, operations));
    add_key(c, w);
    for (size_t i = 1 + chance_below(c, chance_of(c, 50) ? 1 : 4); i > 0; i--) add_key(c, w);
}

static void add_encoding(struct chance *c, struct words *w) {
    static const char *const wrong[] = { "u64", "i65", "u0", "x8", "i", "8", NULL };
    if (chance_of(c, 2))
        words_add_str(w, chance_pick(c, wrong));
    else if (chance_of(c, 50))
        words_printf(w, "u%zu", 1 + chance_below(c, 63));
    else
        words_printf(w, "i%zu", 1 + chance_below(c, 64));
}

static void add_field_offset(struct chance *c, struct words *w) {
    if (chance_of(c, 2))
        words_add_str(w, chance_of(c, 50) ? "-1" : "#a");
    else
        words_printf(w, "%s%zu", chance_of(c, 30) ? "#" : "", chance_below(c, 200));
}

static void add_field(struct chance *c, struct words *w, bool may_write) {
    static const char *const overflows[] = { "WRAP", "SAT", "FAIL", "sat", NULL };
    if (may_write && chance_of(c, 40)) {
        words_add_str(w, "OVERFLOW");
        words_add_str(w, chance_of(c, 2) ? "NEVER" : chance_pick(c, overflows));
    }
    bool writes = may_write && chance_of(c, 70), sets = chance_of(c, 50);
    words_add_str(w, !writes ? "GET" : sets ? "SET" : "INCRBY");
    add_encoding(c, w);
    add_field_offset(c, w);
    /* SAT SET of a number far below the field's lowest gives the highest in the reference: its sum overflows.
     */
    if (writes && sets)
        words_printf(w, "%lld", (long long)chance_below(c, (size_t)1 << 41) - (1LL << 40));
    else if (writes)
        add_integer(c, w);
}

static void make_bitfield(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "BITFIELD");
    add_key(c, w);
    for (size_t i = chance_below(c, 4); i > 0; i--) add_field(c, w, true);
}

static void make_bitfield_ro(struct chance *c, struct script *s) {
    struct words *w = script_command(s, COMPARE_EXACT, "BITFIELD_RO");
    add_key(c, w);
    for (size_t i = chance_below(c, 4); i > 0; i--) add_field(c, w, chance_of(c, 3));
}

const struct generator bitmap_generators[] = {
    { "SETBIT", 10, make_setbit },
    { "GETBIT", 5, make_getbit },
    { "BITCOUNT", 5, make_bitcount },
    { "BITPOS", 6, make_bitpos },
    { "BITOP", 5, make_bitop },
    { "BITFIELD", 10, make_bitfield },
    { "BITFIELD_RO", 3, make_bitfield_ro },
    { NULL, 0, NULL },
};
