/* marks.c: see marks.h. */
#include "marks.h"
#include "model.h"

/* How often there is a question, and how long it is waited for its answer: a stopped replica does not answer,
 * and appendfsync everysec takes a second. */
#define WAIT_ONCE_IN 5
#define WAIT_MS 300
#define WAITAOF_ONCE_IN 25
#define WAITAOF_MS 1500

bool marks_ask(struct client *c, enum asking asking, uint64_t *random) {
    if (asking == ASKS_NOTHING) return false;
    if (model_random(random, asking == ASKS_WAIT ? WAIT_ONCE_IN : WAITAOF_ONCE_IN) != 0) return false;
    if (asking == ASKS_WAIT)
        client_queue(c, "WAIT %d %d", 1 + (int)model_random(random, 2), WAIT_MS);
    else if (asking == ASKS_REPLICAS_DISK)
        client_queue(c, "WAITAOF 0 1 %d", WAITAOF_MS);
    else
        client_queue(c, "WAITAOF 1 %d %d", (int)model_random(random, 3), WAITAOF_MS);
    return true;
}

static void raise_mark(size_t *mark, size_t count) {
    if (*mark < count) *mark = count;
}

bool marks_read(struct marks *m, struct client *c, size_t count, struct text *problem) {
    struct node *reply = client_read_or_end(c);
    if (!reply) return false;
    bool told = reply->kind == ':' || (reply->kind == '*' && reply->count == 2);
    if (told) {
        int64_t copies = reply->kind == ':' ? reply->number : reply->items[1]->number;
        if (reply->kind == '*' && reply->items[0]->number == 1) raise_mark(&m->at[OWED_ON_DISK], count);
        if (copies >= 1) raise_mark(&m->at[OWED_ONE_COPY], count);
        if (copies >= 2) raise_mark(&m->at[OWED_TWO_COPIES], count);
    } else if (!is_refusal(reply)) {
        text_printf(problem, "to WAIT: ");
        node_describe(reply, problem);
    }
    node_free(reply);
    return told;
}

size_t marks_owed(const struct marks *m, enum owed owed, size_t count) {
    if (owed == OWED_ALL) return count;
    return owed == OWED_NOTHING ? 0 : m->at[owed];
}

bool is_refusal(const struct node *reply) {
    static const char *const codes[] = {
        "READONLY ", "LOADING ", "MASTERDOWN ", "UNBLOCKED ", "EXECABORT ", "ERR WAIT",
    };
    if (!node_is_error(reply)) return false;
    const char *text = text_str(&reply->bytes);
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (strncmp(text, codes[i], strlen(codes[i])) == 0) return true;
    return false;
}
