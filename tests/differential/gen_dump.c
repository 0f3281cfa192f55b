/* gen_dump.c: values go from each server to both, with DUMP and RESTORE, whole and damaged. */
#include "differential.h"

static void add_restore_options(struct chance *c, struct words *w) {
    static const char *const wrong[] = { "FOO", "IDLETIME", "FREQ 256", "FREQ x", "IDLETIME -1", "", NULL };
    if (chance_of(c, 30)) words_add_str(w, "REPLACE");
    if (chance_of(c, 20)) {
        words_add_str(w, "IDLETIME");
        words_printf(w, "%zu", chance_below(c, 1000));
    } else if (chance_of(c, 20)) {
        words_add_str(w, "FREQ");
        words_printf(w, "%zu", chance_below(c, 256));
    }
    if (!chance_of(c, 5)) return;
    struct words more = { 0 };
    if (words_split(&more, chance_pick(c, wrong)))
        for (size_t i = 0; i < more.count; i++) words_add(w, more.items[i].ptr, more.items[i].len);
    words_release(&more);
}

/* None at the limit of numbers: the reference's sum with the clock overflows. */
static void add_restore_time(struct chance *c, struct words *w, bool *absolute) {
    static const char *const wrong[] = { "-1", "a", "", "1.5", NULL };
    *absolute = chance_of(c, 30);
    if (chance_of(c, 40))
        words_add_str(w, "0");
    else if (chance_of(c, 5))
        words_add_str(w, chance_pick(c, wrong));
    else if (*absolute)
        add_unix_milliseconds(c, w);
    else
        words_printf(w, "%zu", 500000000 + chance_below(c, 1000000000));
}

static void damage(struct chance *c, struct text *payload) {
    if (payload->len == 0) return;
    payload->ptr[chance_below(c, payload->len)] ^= (char)(1 + chance_below(c, 255));
}

static void restore(struct pair *p, struct chance *c, const char *key, const struct text *payload) {
    struct words w = { 0 };
    bool absolute;
    words_add_str(&w, chance_of(c, 80) ? "RESTORE" : "RESTORE-ASKING");
    words_add_str(&w, key);
    add_restore_time(c, &w, &absolute);
    words_add(&w, payload->ptr, payload->len);
    if (chance_of(c, 10)) damage(c, &w.items[3]);
    if (absolute) words_add_str(&w, "ABSTTL");
    add_restore_options(c, &w);
    node_free(ask_both(p, COMPARE_EXACT, &w));
    compare_key(p, &w.items[1]);
    words_release(&w);
}

static void carry(struct pair *p, struct chance *c, const struct text *key) {
    static const char *const places[] = { "restored:a", "restored:b", NULL };
    struct words w = { 0 };
    words_add_str(&w, "DUMP");
    words_add(&w, key->ptr, key->len);
    struct node *reference = ask_side(&p->reference, &w), *trivet = ask_side(&p->trivet, &w);
    if (!replies_match(&w, COMPARE_KIND, reference, trivet))
        report_difference(&w, reference, trivet, "probe");
    if (!reference->null) {
        restore(p, c, chance_pick(c, places), &reference->bytes);
        restore(p, c, chance_pick(c, places), &trivet->bytes);
    }
    node_free(reference);
    node_free(trivet);
    words_release(&w);
}

static void probe_dump(struct pair *p, struct chance *c) {
    struct words w = { 0 };
    words_add_str(&w, "SELECT");
    words_printf(&w, "%zu", chance_below(c, DATABASES));
    node_free(ask_both(p, COMPARE_EXACT, &w));
    struct node *keys = client_ask_node(p->reference.inspector, "KEYS *");
    for (int i = 0; i < 5; i++) {
        struct text missing = { 0 };
        text_append_str(&missing, "nokey");
        carry(p, c, keys->count > 0 ? &keys->items[chance_below(c, keys->count)]->bytes : &missing);
        text_release(&missing);
    }
    ask_line(p, COMPARE_EXACT, "DEL restored:a restored:b");
    node_free(keys);
    words_release(&w);
}

const struct probe dump_probes[] = { { "DUMP RESTORE", probe_dump }, { NULL, NULL } };
