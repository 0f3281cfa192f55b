/* gen_transaction.c: MULTI, EXEC, DISCARD, WATCH and UNWATCH around commands of every group.
 *
 * Transactions always end in the script that began them and do not nest: 7.0 answers MULTI and WATCH inside
 * MULTI by an error and goes on, Valkey 8 also discards the transaction, and from there on both sides would
 * hold different data. */
#include "differential.h"

static bool inside;

static void make_transaction(struct chance *c, struct script *s) {
    if (inside) return;
    inside = true;
    script_command(s, COMPARE_EXACT, "MULTI");
    for (size_t i = chance_below(c, 8); i > 0; i--) script_any(s, c);
    inside = false;
    script_command(s, COMPARE_EXACT, chance_of(c, 90) ? "EXEC" : "DISCARD");
}

static void make_watch(struct chance *c, struct script *s) {
    if (inside) return;
    struct words *w = script_command(s, COMPARE_EXACT, "WATCH");
    for (size_t i = 1 + chance_below(c, 3); i > 0; i--) add_key(c, w);
}

/* Parts without their partners. */
static void make_part(struct chance *c, struct script *s) {
    static const char *const lines[] = { "EXEC",    "DISCARD", "UNWATCH", "UNWATCH",
                                         "MULTI x", "EXEC x",  "WATCH",   NULL };
    if (inside) return;
    script_command(s, COMPARE_EXACT, chance_pick(c, lines));
}

const struct generator transaction_generators[] = {
    { "MULTI ... EXEC", 10, make_transaction },
    { "WATCH", 4, make_watch },
    { "single parts", 2, make_part },
    { NULL, 0, NULL },
};
