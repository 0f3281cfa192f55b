/* gen_acl_users.c: a short random life of a few users: their connections send commands of all kinds while the
 * default user changes what they may, removes them and makes them anew.
 *
 * Each command's reply must be the same on both sides, and so must be ACL LOG. What ACL LIST prints of a user
 * is given to another one, of the other side too, who must then be allowed the same. */
#include "../harness/check.h"
#include "differential.h"
#include <stdio.h>
#include <stdlib.h>

#define STEPS 200
#define MEMBERS 3
#define COPY "copy" /* the user who gets another's rules */
#define TRIED 12    /* commands by which two users are compared */

struct member {
    struct client *clients[2]; /* the reference's, Trivet's; NULL once closed */
    char user[16];
    char name[32];
};

struct life {
    struct pair *pair;
    struct chance *chance;
    struct member members[MEMBERS];
    struct script queued; /* by the transaction that goes on */
    char other[16];       /* the user whose AUTH that has queued */
};

static const struct {
    enum compare compare;
    const char *line;
} lines[] = {
    { COMPARE_EXACT, "GET $k" },
    { COMPARE_EXACT, "SET $k v" },
    { COMPARE_EXACT, "SET $k v GET" },
    { COMPARE_EXACT, "GETSET $k v" },
    { COMPARE_EXACT, "GETDEL $k" },
    { COMPARE_EXACT, "COPY $k $k REPLACE" },
    { COMPARE_EXACT, "RENAME $k $k" },
    { COMPARE_EXACT, "MSET $k v $k v" },
    { COMPARE_EXACT, "MGET $k $k $k" },
    { COMPARE_EXACT, "EXISTS $k $k" },
    { COMPARE_EXACT, "TYPE $k" },
    { COMPARE_EXACT, "DEL $k" },
    { COMPARE_EXACT, "SORT sort:0 BY nosort" },
    { COMPARE_EXACT, "SORT sort:0 BY # GET #" },
    { COMPARE_EXACT, "SORT sort:0 BY w_* LIMIT 0 1" },
    { COMPARE_EXACT, "SORT sort:0 GET w_*->f LIMIT 0 1 STORE $k" },
    { COMPARE_EXACT, "SORT_RO sort:1 GET w_*" },
    { COMPARE_EXACT, "EVAL \"return redis.call('GET', KEYS[1])\" 1 $k" },
    { COMPARE_EXACT, "EVAL \"return redis.call('SET', KEYS[1], 'v')\" 1 $k" },
    { COMPARE_EXACT, "EVAL \"return redis.pcall('SET', ARGV[1], 'v')\" 0 $k" },
    { COMPARE_EXACT, "EVAL \"return redis.pcall('COPY', KEYS[1], ARGV[1])\" 1 $k $k" },
    { COMPARE_EXACT, "EVAL \"return redis.call('PUBLISH', ARGV[1], 'x')\" 0 $c" },
    { COMPARE_EXACT, "EVAL_RO \"return redis.call('EXISTS', ARGV[1])\" 1 $k $k" },
    { COMPARE_EXACT, "EVAL \"return redis.acl_check_cmd('GET', ARGV[1])\" 0 $k" },
    { COMPARE_EXACT, "EVAL \"return redis.acl_check_cmd('PUBLISH', ARGV[1], 'x')\" 0 $c" },
    { COMPARE_EXACT, "EVAL \"return 1\" 0" },
    { COMPARE_EXACT, "XREAD COUNT 1 STREAMS $k $k 0 0" },
    { COMPARE_EXACT, "XREADGROUP GROUP g c COUNT 1 NOACK STREAMS $k $k > >" },
    { COMPARE_EXACT, "ZUNIONSTORE $k 2 $k $k" },
    { COMPARE_EXACT, "BLPOP $k $k 0.001" },
    { COMPARE_EXACT, "BLMOVE $k $k LEFT LEFT 0.001" },
    { COMPARE_EXACT, "BITFIELD $k GET u4 0" },
    { COMPARE_EXACT, "BITFIELD $k SET u4 0 1" },
    { COMPARE_EXACT, "OBJECT ENCODING $k" },
    { COMPARE_KIND, "MEMORY USAGE $k" },
    { COMPARE_KIND, "DEBUG OBJECT $k" },
    { COMPARE_SORTED, "KEYS k*" },
    { COMPARE_EXACT, "PUBLISH $c x" },
    { COMPARE_EXACT, "PUBLISH $c x" },
    { COMPARE_EXACT, "SPUBLISH $c x" },
    { COMPARE_KIND, "CLIENT ID" },
    { COMPARE_KIND, "CLIENT LIST" },
    { COMPARE_EXACT, "CLIENT GETNAME" },
    { COMPARE_EXACT, "CLIENT SETNAME n" },
    { COMPARE_EXACT, "CLIENT KILL ID 9999999" },
    { COMPARE_EXACT, "CLIENT KILL USER nosuch" },
    { COMPARE_EXACT, "CLIENT NO-EVICT OFF" },
    { COMPARE_EXACT, "CONFIG GET maxmemory" },
    { COMPARE_EXACT, "CONFIG SET maxmemory 0" },
    { COMPARE_EXACT, "COMMAND GETKEYS GET $k" },
    { COMPARE_KIND, "COMMAND COUNT" },
    { COMPARE_EXACT, "SELECT 0" },
    { COMPARE_EXACT, "SELECT 1" },
    { COMPARE_EXACT, "SWAPDB 0 0" },
    { COMPARE_EXACT, "MOVE $k 1" },
    { COMPARE_EXACT, "PING" },
    { COMPARE_EXACT, "ECHO x" },
    { COMPARE_EXACT, "SCRIPT EXISTS x" },
    { COMPARE_EXACT, "ACL WHOAMI" },
    { COMPARE_USERS, "ACL LIST" },
    { COMPARE_USERS, "ACL GETUSER u0" },
    { COMPARE_EXACT, "ACL CAT foo" },
    { COMPARE_EXACT, "ACL SETUSER u1 &c1 +get" },
    { COMPARE_EXACT, "ACL DELUSER nosuch" },
    { COMPARE_EXACT, "FOO $k" },
    { COMPARE_EXACT, "CONFIG FOO" },
    { COMPARE_EXACT, "GET" },
};

static const struct generator *const data_groups[] = {
    string_generators, generic_generators, zset_generators,   hash_generators, hyperloglog_generators,
    sort_generators,   geo_generators,     bitmap_generators, set_generators,  list_generators,
    stream_generators, wrapped_generators, NULL,
};

/* ---- one command of a member ---- */

static void member_close(struct member *m) {
    for (int i = 0; i < 2; i++) client_close(m->clients[i]);
    m->clients[0] = m->clients[1] = NULL;
}

static void member_open(struct life *l, struct member *m) {
    m->clients[0] = server_connect(l->pair->reference.server);
    m->clients[1] = server_connect(l->pair->trivet.server);
    snprintf(m->user, sizeof m->user, "default");
}

static struct node *send_to(struct client *c, const struct words *w) {
    client_queue_words(c, w);
    return client_flush(c) ? client_read_or_end(c) : NULL;
}

static bool is_status(const struct node *n, const char *text) {
    return n && n->kind == '+' && strcmp(text_str(&n->bytes), text) == 0;
}

static bool is_named(const struct words *w, const char *name) {
    return w->count > 0 && slice_equal_nocase(text_slice(&w->items[0]), slice_of(name));
}

/* Returns the reference's reply, which the caller frees; NULL if the connection has ended, on both sides. */
static struct node *ask_member(struct life *l, struct member *m, const struct planned *planned) {
    const struct words *w = &planned->words;
    struct node *reference = send_to(m->clients[0], w), *trivet = send_to(m->clients[1], w);
    bool queued = is_status(reference, "QUEUED");
    if (trivet) reword_denials(trivet, m->user);
    if (trivet && l->other[0]) reword_denials(trivet, l->other);
    bool same = is_named(w, "EXEC")
                    ? exec_matches(&l->queued, w, reference, trivet)
                    : replies_match(w, queued ? COMPARE_EXACT : planned->compare, reference, trivet);
    if (!same) report_difference(w, reference, trivet, m->user);
    history_note(m->name, w, reference);
    node_free(trivet);
    if (!reference) {
        member_close(m);
        member_open(l, m);
    }
    return reference;
}

static struct node *ask_member_line(struct life *l, struct member *m, enum compare compare,
                                    const char *line) {
    struct planned planned = { .compare = compare };
    if (!words_split(&planned.words, line)) abort();
    struct node *reply = ask_member(l, m, &planned);
    words_release(&planned.words);
    return reply;
}

/* ---- who a member is ---- */

static void log_in(struct life *l, struct member *m) {
    static const char *const forms[] = { "AUTH", "AUTH", "auth", "HELLO 2 AUTH", "HELLO 3 AUTH", NULL };
    struct planned planned = { .compare = COMPARE_KIND };
    if (!words_split(&planned.words, chance_pick(l->chance, forms))) abort();
    add_user(l->chance, &planned.words);
    const struct text *user = &planned.words.items[planned.words.count - 1];
    char name[16];
    snprintf(name, sizeof name, "%s", text_str(user));
    add_password(l->chance, &planned.words);
    struct node *reply = ask_member(l, m, &planned);
    if (reply && !node_is_error(reply)) snprintf(m->user, sizeof m->user, "%s", name);
    node_free(reply);
    words_release(&planned.words);
}

static void log_out(struct life *l, struct member *m) {
    struct node *reply = ask_member_line(l, m, COMPARE_EXACT, "RESET");
    if (reply) snprintf(m->user, sizeof m->user, "default");
    node_free(reply);
}

/* ---- what it sends ---- */

static void make_line(struct chance *c, struct script *s) {
    size_t which = chance_below(c, COUNT_OF(lines));
    expand_line(c, script_command(s, lines[which].compare, lines[which].line));
}

/* Whether it is denied, or fails, is each version's own. */
static bool is_disputed(const struct planned *planned) {
    return names_keys_wrongly(&planned->words, 0) ||
           (planned->compare == COMPARE_WRAPPED && wrapped_names_keys_wrongly(&planned->words));
}

static void send_some(struct life *l, struct member *m, bool in_transaction) {
    struct script s = { 0 };
    if (chance_of(l->chance, 50))
        make_line(l->chance, &s);
    else
        script_of(data_groups, &s, l->chance);
    for (size_t i = 0; i < s.count && i < 8; i++) {
        if (is_disputed(&s.commands[i])) continue;
        struct node *reply = ask_member(l, m, &s.commands[i]);
        if (in_transaction && is_status(reply, "QUEUED"))
            words_copy(script_next(&l->queued, s.commands[i].compare), &s.commands[i].words);
        bool goes_on = reply != NULL;
        node_free(reply);
        if (!goes_on) break;
    }
    script_release(&s);
}

/* ---- what changes about users ---- */

/* One that may log in, and often may do much. */
static void make_useful(struct life *l, const char *name) {
    static const char *const rules[] = { "on >p0",
                                         "on >p0",
                                         "on >p0 +@all",
                                         "on >p0 +@all resetkeys ~k* ~sort:*",
                                         "on >p0 +@all ~*",
                                         "on nopass +@all %R~* %W~k*",
                                         NULL };
    struct words w = { 0 }, more = { 0 };
    if (!words_split(&w, "ACL SETUSER") || !words_split(&more, chance_pick(l->chance, rules))) abort();
    words_add_str(&w, name);
    for (size_t i = 0; i < more.count; i++) words_add(&w, more.items[i].ptr, more.items[i].len);
    node_free(ask_both(l->pair, COMPARE_EXACT, &w));
    words_release(&more);
    words_release(&w);
}

static void change_user(struct life *l) {
    struct script s = { 0 };
    char name[16];
    snprintf(name, sizeof name, "u%zu", chance_below(l->chance, ACL_USERS));
    make_setuser(l->chance, &s, name);
    size_t count = chance_of(l->chance, 70) ? 1 : s.count;
    for (size_t i = 0; i < count; i++) node_free(ask_both(l->pair, COMPARE_EXACT, &s.commands[i].words));
    if (chance_of(l->chance, 60)) make_useful(l, name);
    script_release(&s);
}

static void remove_user(struct life *l) {
    struct words w = { 0 };
    if (!words_split(&w, "ACL DELUSER")) abort();
    add_user(l->chance, &w);
    node_free(ask_both(l->pair, COMPARE_EXACT, &w));
    words_release(&w);
}

static void queue_login(struct life *l, struct member *m) {
    struct planned planned = { .compare = COMPARE_EXACT };
    words_add_str(&planned.words, "AUTH");
    add_user(l->chance, &planned.words);
    snprintf(l->other, sizeof l->other, "%s", text_str(&planned.words.items[1]));
    add_password(l->chance, &planned.words);
    struct node *reply = ask_member(l, m, &planned);
    if (is_status(reply, "QUEUED")) words_copy(script_next(&l->queued, COMPARE_EXACT), &planned.words);
    node_free(reply);
    words_release(&planned.words);
}

/* Its rights may change before EXEC. It ends with RESET: EXEC and DISCARD may have been denied. */
static void transact(struct life *l, struct member *m) {
    struct planned watch = { .compare = COMPARE_EXACT };
    l->queued.count = 0;
    words_add_str(&watch.words, "WATCH");
    add_key(l->chance, &watch.words);
    if (chance_of(l->chance, 20)) node_free(ask_member(l, m, &watch));
    words_release(&watch.words);
    struct node *begun = ask_member_line(l, m, COMPARE_EXACT, "MULTI");
    for (size_t i = chance_below(l->chance, 4); begun && !node_is_error(begun) && i > 0; i--) {
        send_some(l, m, true);
        if (chance_of(l->chance, 10)) queue_login(l, m);
    }
    if (chance_of(l->chance, 40)) change_user(l);
    node_free(begun);
    node_free(ask_member_line(l, m, COMPARE_EXACT, chance_of(l->chance, 85) ? "EXEC" : "DISCARD"));
    log_out(l, m);
    l->queued.count = 0;
    l->other[0] = '\0';
    log_in(l, m);
}

/* ---- what is known of users ---- */

static void compare_log(struct pair *p, const char *line) {
    static const char *const own[] = {
        "age-seconds", "client-info", "entry-id", "timestamp-created", "timestamp-last-updated", NULL
    };
    struct words w = { 0 };
    if (!words_split(&w, line)) abort();
    struct node *reference = ask_side(&p->reference, &w), *trivet = ask_side(&p->trivet, &w);
    node_drop_fields(reference, own);
    node_drop_fields(trivet, own);
    if (!replies_match(&w, COMPARE_EXACT, reference, trivet)) report_difference(&w, reference, trivet, "log");
    node_free(reference);
    node_free(trivet);
    words_release(&w);
}

static void inspect(struct life *l) {
    static const char *const log[] = { "ACL LOG", "ACL LOG 1", "ACL LOG 100", NULL };
    struct words w = { 0 };
    if (chance_of(l->chance, 40)) compare_log(l->pair, chance_pick(l->chance, log));
    if (chance_of(l->chance, 10)) ask_line(l->pair, COMPARE_EXACT, "ACL LOG RESET");
    if (chance_of(l->chance, 40)) ask_line(l->pair, COMPARE_USERS, "ACL LIST");
    if (!words_split(&w, "ACL GETUSER")) abort();
    add_user(l->chance, &w);
    node_free(ask_both(l->pair, COMPARE_USERS, &w));
    words_release(&w);
}

/* ---- a user and its copy ---- */

static void make_dryrun(struct words *w, const char *user, const struct words *tried) {
    if (!words_split(w, "ACL DRYRUN")) abort();
    words_add_str(w, user);
    for (size_t i = 0; i < tried->count; i++) words_add(w, tried->items[i].ptr, tried->items[i].len);
}

static struct node *try_as(struct side *side, const char *user, const struct words *tried, struct words *w) {
    make_dryrun(w, user, tried);
    struct node *reply = ask_side(side, w);
    reword_denials(reply, user);
    return reply;
}

/* Gives the copy on `to` what `from` prints of the user. False if there is no such user. */
static bool copy_user(struct side *from, struct side *to, const char *user) {
    struct words w = { 0 };
    struct node *list = client_ask_node(from->inspector, "ACL LIST");
    if (!words_split(&w, "ACL SETUSER " COPY " reset")) abort();
    bool found = rules_of_user(list, user, &w);
    struct node *reply = found ? ask_side(to, &w) : NULL;
    if (found && !is_status(reply, "OK")) report_difference(&w, NULL, reply, "a copy");
    node_free(reply);
    node_free(list);
    words_release(&w);
    return found;
}

static void compare_copy(struct side *side, struct chance *c, const char *user) {
    struct script s = { 0 };
    struct words w = { 0 };
    for (int i = 0; i < TRIED; i++) make_tried(c, &s);
    for (size_t i = 0; i < s.count; i++) {
        struct node *original = try_as(side, user, &s.commands[i].words, &w);
        struct node *copy = try_as(side, COPY, &s.commands[i].words, &w);
        if (!replies_match(&w, COMPARE_EXACT, original, copy)) report_difference(&w, original, copy, user);
        node_free(original);
        node_free(copy);
    }
    words_release(&w);
    script_release(&s);
}

static void round_trip(struct life *l) {
    struct side *sides[2] = { &l->pair->reference, &l->pair->trivet };
    char user[16];
    snprintf(user, sizeof user, "u%zu", chance_below(l->chance, ACL_USERS));
    struct side *from = sides[chance_below(l->chance, 2)], *to = sides[chance_of(l->chance, 70)];
    if (!copy_user(from, to, user)) return;
    compare_copy(to, l->chance, user);
    node_free(client_ask_node(to->inspector, "ACL DELUSER " COPY));
}

static void try_some(struct life *l) {
    struct script s = { 0 };
    struct words w = { 0 };
    make_tried(l->chance, &s);
    for (size_t i = 0; i < s.count && i < 8; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%zu", chance_below(l->chance, ACL_USERS));
        make_dryrun(&w, user, &s.commands[i].words);
        node_free(ask_both(l->pair, COMPARE_DRYRUN, &w));
    }
    words_release(&w);
    script_release(&s);
}

/* ---- a life ---- */

static void take_step(struct life *l) {
    struct member *m = &l->members[chance_below(l->chance, MEMBERS)];
    size_t roll = chance_below(l->chance, 100);
    if (roll < 8)
        change_user(l);
    else if (roll < 18)
        log_in(l, m);
    else if (roll < 22)
        inspect(l);
    else if (roll < 24)
        remove_user(l);
    else if (roll < 32)
        transact(l, m);
    else if (roll < 36)
        round_trip(l);
    else if (roll < 44)
        try_some(l);
    else if (roll < 45)
        log_out(l, m);
    else
        send_some(l, m, false);
}

static void begin(struct life *l) {
    bool all = chance_of(l->chance, 50);
    ask_line(l->pair, COMPARE_EXACT,
             all ? "CONFIG SET acl-pubsub-default allchannels"
                 : "CONFIG SET acl-pubsub-default resetchannels");
    ask_line(l->pair, COMPARE_EXACT, "SELECT 0");
    ask_line(l->pair, COMPARE_EXACT, "ACL LOG RESET");
    ask_line(l->pair, COMPARE_EXACT, "DEL sort:0 sort:1");
    ask_line(l->pair, COMPARE_EXACT, "RPUSH sort:0 3 1 2");
    for (int i = 0; i < 2 * ACL_USERS; i++) change_user(l);
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(l->members[i].name, sizeof l->members[i].name, "user %d", i);
        member_open(l, &l->members[i]);
        log_in(l, &l->members[i]);
    }
}

static void end(struct life *l) {
    compare_log(l->pair, "ACL LOG 128");
    for (int i = 0; i < MEMBERS; i++) member_close(&l->members[i]);
    ask_line(l->pair, COMPARE_EXACT, "ACL DELUSER u0 u1 u2 u3");
    ask_line(l->pair, COMPARE_EXACT, "CONFIG SET acl-pubsub-default resetchannels");
    ask_line(l->pair, COMPARE_USERS, "ACL LIST");
    script_release(&l->queued);
}

static void probe_users(struct pair *p, struct chance *c) {
    struct life l = { .pair = p, .chance = c };
    begin(&l);
    for (int i = 0; i < STEPS; i++) take_step(&l);
    end(&l);
}

const struct probe acl_probes[] = { { "users", probe_users }, { NULL, NULL } };
