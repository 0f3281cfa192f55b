/* One node that gets packets made by hand: whom it believes, when it votes, and in which order it wants
 * things done. What comes of many nodes together is tested in tests/sim. */
#include "bench.h"

static struct message_header auth_request(struct bench *b) {
    struct message_header h = header(b, 'r', MESSAGE_AUTH_REQUEST);
    h.current_epoch = b->c.state.current_epoch + 1;
    return h;
}

static uint64_t votes(const struct bench *b) { return b->c.sent[MESSAGE_AUTH_ACK]; }

static void strangers_are_not_believed(void **state) {
    struct bench *b = *state;
    static const struct {
        enum message_type type;
        struct slice body;
    } rows[] = {
        { MESSAGE_PUBLISH, LIT_INIT("\0\0\0\1\0\0\0\1cm") },
        { MESSAGE_FAIL, LIT_INIT("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb") },
        { MESSAGE_AUTH_REQUEST, LIT_INIT("") },
        { MESSAGE_MFSTART, LIT_INIT("") },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct message_header h = header(b, 'x', rows[i].type);
        h.current_epoch = 1000;
        give(b, &h, rows[i].body);
    }
    struct message_header ping = header(b, 'x', MESSAGE_PING);
    ping.current_epoch = 1000;
    give(b, &ping, LIT(""));
    assert_int_equal(b->c.received[MESSAGE_PING], 1);
    assert_int_equal(count_of(b, ACTION_SEND), 1); /* the PONG */
    assert_true(b->c.state.current_epoch == 9 && b->published == 0 && b->c.state.node_count == 4);
    assert_false(node_is_failed(node(b, 'b')));
}

static void known_nodes_are_believed(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PUBLISH);
    h.current_epoch = 1000;
    give(b, &h, LIT("\0\0\0\1\0\0\0\1cm"));
    assert_true(b->published == 1 && b->c.state.current_epoch == 1000);
    assert_int_equal(count_of(b, ACTION_SAVE), 1);
}

static void a_vote_is_saved_before_it_is_sent(void **state) {
    struct bench *b = *state;
    b_fails(b);
    struct message_header h = auth_request(b);
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 1);
    size_t saved = SIZE_MAX, sent = SIZE_MAX;
    for (size_t i = 0; i < b->action_count; i++) {
        if (b->actions[i].kind == ACTION_SAVE && saved == SIZE_MAX) saved = i;
        if (b->actions[i].kind == ACTION_SEND && sent == SIZE_MAX) sent = i;
    }
    assert_true(saved < sent && sent != SIZE_MAX && b->actions[saved].sync);
    assert_true(b->c.state.last_vote_epoch == 10);
}

static void votes_are_refused_when_they_should_be(void **state) {
    struct bench *b = *state;
    struct message_header h = auth_request(b);
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 0); /* its primary has not failed */
    b_fails(b);
    h = auth_request(b);
    h.current_epoch = b->c.state.current_epoch - 1;
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 0); /* an epoch that is over */
    struct slot_set too_many = node(b, 'b')->slots;
    slot_set_add(&too_many, 1);
    h = auth_request(b);
    h.slots = &too_many;
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 0); /* slot 1 is ours, in a later epoch: it is told */
    assert_int_equal(b->c.sent[MESSAGE_UPDATE], 1);
    h = auth_request(b);
    give(b, &h, LIT(""));
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 1); /* once in an epoch */
    h = auth_request(b);           /* in another epoch the same primary's replica may try again */
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 2);
}

static void a_forced_vote_needs_no_failure(void **state) {
    struct bench *b = *state;
    struct message_header h = auth_request(b);
    h.message_flags[0] = MESSAGE_FORCE_ACK;
    give(b, &h, LIT(""));
    assert_int_equal(votes(b), 1);
}

static void the_later_epoch_gets_the_slots(void **state) {
    struct bench *b = *state;
    struct slot_set claims = node(b, 'c')->slots;
    slot_set_add(&claims, 5);
    slot_set_add(&claims, 150);
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.slots = &claims;
    h.config_epoch = 2;
    give(b, &h, LIT(""));
    assert_true(b->c.state.owners[150] == node(b, 'c'));  /* b has epoch 1 */
    assert_true(b->c.state.owners[5] == b->c.state.self); /* we have 9 */
    assert_int_equal(b->c.sent[MESSAGE_UPDATE], 1);
    h = header(b, 'c', MESSAGE_PING);
    h.slots = &claims;
    h.config_epoch = h.current_epoch = 12;
    give(b, &h, LIT(""));
    assert_true(b->c.state.owners[5] == node(b, 'c'));
    assert_int_equal(count_of(b, ACTION_DROP_KEYS), 1); /* slot 5 had keys */
}

static void an_equal_epoch_takes_no_slots(void **state) {
    struct bench *b = *state;
    struct slot_set claims = node(b, 'c')->slots;
    slot_set_add(&claims, 150);
    node(b, 'b')->config_epoch = 2; /* as 'c' has */
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.slots = &claims;
    give(b, &h, LIT(""));
    assert_true(b->c.state.owners[150] == node(b, 'b'));
}

static void who_loses_the_last_slot_follows_the_winner(void **state) {
    struct bench *b = *state;
    struct slot_set all = { { 0 } };
    for (unsigned slot = 0; slot < 300; slot++) slot_set_add(&all, slot);
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.slots = &all;
    h.config_epoch = h.current_epoch = 12;
    give(b, &h, LIT(""));
    assert_true(b->c.state.self->primary == node(b, 'c'));
    assert_int_equal(count_of(b, ACTION_FOLLOW), 1);
}

static void of_two_primaries_with_one_epoch_the_smaller_name_moves_on(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.config_epoch = 9;
    give(b, &h, LIT(""));
    assert_true(b->c.state.self->config_epoch == 10 && node(b, 'c')->config_epoch == 9);
}

static void old_headers_change_nothing(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PING);
    struct slot_set none = { { 0 } };
    h.config_epoch = 1; /* it has 2 */
    h.slots = &none;
    give(b, &h, LIT(""));
    assert_int_equal(node(b, 'c')->slot_count, 100);
    assert_true(slot_set_count(&b->c.state.unclaimed) == 0 && node(b, 'c')->config_epoch == 2);
}

static void a_light_header_needs_a_link_that_is_known(void **state) {
    struct bench *b = *state;
    struct buf out = { 0 };
    size_t at = message_begin_light(&out, MESSAGE_PUBLISH);
    message_put_publish(&out, LIT("c"), LIT("m"));
    message_end(&out, at);
    uint64_t link = cluster_link_accepted(&b->c, b->ip, b->ip, b->now_ms);
    cluster_receive(&b->c, link, buf_slice(&out), b->now_ms);
    settle(b);
    assert_true(count_of(b, ACTION_CLOSE) == 1 && b->published == 0);
    struct message_header h = header(b, 'c', MESSAGE_PING);
    give(b, &h, LIT(""));
    cluster_receive(&b->c, node(b, 'c')->inbound, buf_slice(&out), b->now_ms);
    assert_int_equal(b->published, 1);
    buf_release(&out);
}

static void a_node_that_moves_is_dialled_at_its_new_place(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.ip = node_ip_make(LIT("10.0.0.9"));
    give(b, &h, LIT(""));
    assert_true(slice_equal(node_ip_slice(&node(b, 'c')->ip), LIT("10.0.0.9")));
    assert_true(node(b, 'c')->link == 0 && count_of(b, ACTION_CLOSE) == 1);
    cluster_tick(&b->c, b->now_ms + CLUSTER_TICK_MS);
    settle(b);
    assert_true(node(b, 'c')->link_is_open);
}

static void an_epoch_taken_by_hand_is_not_told_at_once(void **state) {
    struct bench *b = *state;
    uint64_t epoch;
    b->c.state.self->config_epoch = 1;
    assert_true(cluster_bump_epoch(&b->c, &epoch, b->now_ms));
    settle(b);
    assert_int_equal(epoch, 10);
    assert_int_equal(count_of(b, ACTION_SAVE), 1);
    assert_int_equal(count_of(b, ACTION_SEND), 0);
}

static void assert_own_ip(struct bench *b, char sender, enum message_type type, const char *local,
                          const char *expected) {
    b->local = node_ip_make(slice_of(local));
    struct message_header h = header(b, sender, type);
    give(b, &h, LIT(""));
    assert_true(slice_equal(node_ip_slice(&b->c.state.self->ip), slice_of(expected)));
}

static void a_node_learns_its_address_from_those_who_found_it(void **state) {
    struct bench *b = *state;
    assert_own_ip(b, 'x', MESSAGE_PING, "10.0.0.4", "");
    assert_own_ip(b, 'c', MESSAGE_PING, "10.0.0.5", "10.0.0.5");
    assert_own_ip(b, 'b', MESSAGE_PING, "10.0.0.6", "10.0.0.5");
    assert_own_ip(b, 'x', MESSAGE_MEET, "10.0.0.7", "10.0.0.7");
}

/* ---- greetings ---- */

/* Dials somebody at that address; returns the link. */
static uint64_t meet(struct bench *b, const char *ip) {
    size_t before = b->c.state.node_count;
    assert_null(cluster_meet(&b->c, slice_of(ip), 'm', 'm', b->now_ms));
    settle(b);
    assert_int_equal(b->c.state.node_count, before + 1);
    return b->c.state.nodes[before]->link;
}

static void a_handshake_brings_the_epochs_too(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'm', MESSAGE_PONG);
    h.current_epoch = 77;
    h.config_epoch = 70;
    give_on(b, meet(b, "10.0.0.9"), &h, LIT(""));
    assert_true(node(b, 'm')->config_epoch == 70 && b->c.state.current_epoch == 77);
}

/* Also if it is the provisional one that this node gave to it, or to another. */
static void a_handshake_under_a_name_that_is_taken_comes_to_nothing(void **state) {
    struct bench *b = *state;
    uint64_t first = meet(b, "10.0.0.8");
    struct message_header h = header(b, 'm', MESSAGE_PONG);
    h.sender = b->c.state.nodes[4]->id;
    give_on(b, first, &h, LIT(""));
    assert_int_equal(b->c.state.node_count, 4);
    h.sender = b->c.state.self->id;
    give_on(b, meet(b, "10.0.0.8"), &h, LIT(""));
    assert_int_equal(b->c.state.node_count, 4);
}

static void a_known_node_that_is_met_elsewhere_has_moved(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PONG);
    h.ip = node_ip_make(LIT(""));
    give_on(b, meet(b, "10.0.0.9"), &h, LIT(""));
    assert_int_equal(b->c.state.node_count, 4);
    assert_true(slice_equal(node_ip_slice(&node(b, 'c')->ip), LIT("10.0.0.9")));
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_true(node(b, 'c')->link_is_open);
}

static void messages_of_modules_are_passed_over(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_MODULE);
    give(b, &h, LIT("moduleid\0\0\0\1\7x"));
    assert_true(b->c.received[MESSAGE_MODULE] == 1 && b->c.refused == 0);
}

/* ---- FORGET ---- */

static void a_ban_is_told_as_long_as_it_lasts(void **state) {
    struct bench *b = *state;
    struct node_id r = named('r');
    for (const char *l = "bc"; *l; l++) node(b, *l)->flags |= NODE_EXTENSIONS;
    assert_null(cluster_forget(&b->c, &r, b->now_ms));
    settle(b);
    assert_true(b->told_bans == 2 && b->ban_left_s == 60);
    b->now_ms += 30500;
    struct message_header h = header(b, 'c', MESSAGE_PING);
    give(b, &h, LIT(""));
    assert_true(b->told_bans == 1 && b->ban_left_s == 29);
    b->now_ms += 29500;
    give(b, &h, LIT(""));
    assert_int_equal(b->told_bans, 0);
}

/* ---- roles ---- */

/* It may come back as a primary in an epoch that is smaller than that of its last life as one. */
static void the_epoch_of_a_primary_ends_with_its_role(void **state) {
    struct bench *b = *state;
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.primary = b->c.state.self->id;
    h.config_epoch = 9;
    give(b, &h, LIT(""));
    assert_true(node(b, 'c')->primary == b->c.state.self && node(b, 'c')->config_epoch == 0);
    struct slot_set slots = { { 0 } };
    slot_set_add(&slots, 500);
    h = header(b, 'c', MESSAGE_PING);
    h.primary = (struct node_id){ { 0 } };
    h.config_epoch = 1;
    h.slots = &slots;
    node(b, 'c')->shard_id = named('c');
    give(b, &h, LIT(""));
    assert_true(b->c.state.owners[500] == node(b, 'c') && node(b, 'c')->config_epoch == 1);
}

static void an_update_about_who_was_replaced_is_late(void **state) {
    struct bench *b = *state;
    struct buf out = { 0 };
    struct node_id r = named('r');
    struct slot_set slots = { { 1 } };
    struct message_header h = header(b, 'c', MESSAGE_UPDATE);
    node(b, 'b')->config_epoch = 8;
    node(b, 'r')->shard_id = node(b, 'b')->shard_id;
    for (uint64_t epoch = 7; epoch <= 9; epoch += 2) {
        buf_clear(&out);
        message_put_update(&out, epoch, &r, &slots);
        give(b, &h, buf_slice(&out));
        assert_true(node_is_primary(node(b, 'r')) == (epoch == 9));
    }
    buf_release(&out);
}

/* The old primary did not hear yet that it was replaced in its shard. */
static void a_stale_header_does_not_undo_a_failover(void **state) {
    struct bench *b = *state;
    struct cluster_state *s = &b->c.state;
    struct message_header old = header(b, 'b', MESSAGE_PING);
    struct slot_set slots = node(b, 'b')->slots;
    old.slots = &slots;
    node(b, 'r')->shard_id = node(b, 'b')->shard_id;
    struct message_header h = header(b, 'r', MESSAGE_PONG);
    h.primary = (struct node_id){ { 0 } };
    h.config_epoch = h.current_epoch = 12;
    h.slots = &slots;
    give(b, &h, LIT(""));
    struct message_header changed = header(b, 'b', MESSAGE_PING);
    changed.primary = named('r');
    changed.config_epoch = 12;
    changed.slots = &slots;
    give(b, &changed, LIT(""));
    assert_true(node(b, 'b')->primary == node(b, 'r') && s->owners[150] == node(b, 'r'));
    give(b, &old, LIT(""));
    assert_true(node(b, 'b')->primary == node(b, 'r') && s->owners[150] == node(b, 'r'));
}

static void a_replica_that_was_reset_is_believed(void **state) {
    struct bench *b = *state;
    struct slot_set none = { { 0 } };
    node(b, 'r')->shard_id = node(b, 'b')->shard_id;
    struct message_header h = header(b, 'r', MESSAGE_PING);
    h.primary = (struct node_id){ { 0 } };
    h.config_epoch = 0; /* 'b' has 1 */
    h.slots = &none;
    give(b, &h, LIT(""));
    assert_true(node_is_primary(node(b, 'r')));
}

/* The new primary was not heard of yet, but the old one says who it is. */
static void a_replaced_primary_tells_who_has_its_slots(void **state) {
    struct bench *b = *state;
    struct slot_set slots = node(b, 'b')->slots;
    struct message_header h = header(b, 'b', MESSAGE_PONG);
    h.primary = named('r');
    h.config_epoch = h.current_epoch = 12;
    h.slots = &slots;
    give(b, &h, LIT(""));
    assert_true(node_is_primary(node(b, 'r')) && node(b, 'r')->slot_count == 100);
    assert_true(node(b, 'b')->primary == node(b, 'r') && node(b, 'r')->config_epoch == 12);
}

static void a_replica_of_a_replica_goes_to_the_top(void **state) {
    struct bench *b = *state;
    struct node_id primary = named('b');
    cluster_slots_give_all(&b->c.state, b->c.state.self, node(b, 'c'));
    assert_null(cluster_replicate(&b->c, &primary, true, b->now_ms));
    settle(b);
    struct message_header h = header(b, 'b', MESSAGE_PING);
    h.primary = named('c');
    h.config_epoch = 2;
    h.slots = &node(b, 'c')->slots;
    give(b, &h, LIT(""));
    assert_true(b->c.state.self->primary == node(b, 'c'));
    assert_int_equal(count_of(b, ACTION_FOLLOW), 1);
}

static void lose_all_slots_to_c(struct bench *b) {
    struct slot_set all = { { 0 } };
    for (unsigned slot = 0; slot < 300; slot++) slot_set_add(&all, slot);
    struct message_header h = header(b, 'c', MESSAGE_PING);
    h.slots = &all;
    h.config_epoch = h.current_epoch = 12;
    give(b, &h, LIT(""));
}

/* When it became a replica, the shard of its primary was not known here yet. */
static void a_replica_goes_with_the_shard_of_its_primary(void **state) {
    struct bench *b = *state;
    struct buf out = { 0 };
    struct node_id shard = named('s'), primary = named('b');
    cluster_slots_give_all(&b->c.state, b->c.state.self, node(b, 'c'));
    assert_null(cluster_replicate(&b->c, &primary, true, b->now_ms));
    settle(b);
    struct message_header h = header(b, 'b', MESSAGE_PING);
    size_t at = message_begin(&out, &h);
    message_put_extension(&out, at, EXTENSION_SHARD_ID, node_id_slice(&shard));
    message_end(&out, at);
    cluster_receive(&b->c, cluster_link_accepted(&b->c, b->ip, b->ip, b->now_ms), buf_slice(&out), b->now_ms);
    settle(b);
    buf_release(&out);
    for (const char *l = "abr"; *l; l++) assert_true(node_id_equal(&node(b, *l)->shard_id, &shard));
}

static void without_migration_of_replicas_the_loser_stays_a_primary(void **state) {
    struct bench *b = *state;
    b->c.settings.allow_replica_migration = false;
    lose_all_slots_to_c(b);
    assert_true(node_is_primary(b->c.state.self) && b->c.state.self->slot_count == 0);
    assert_int_equal(count_of(b, ACTION_DROP_KEYS), 1);
    assert_int_equal(count_of(b, ACTION_FOLLOW), 0);
}

static void inside_of_a_shard_the_loser_follows_in_any_case(void **state) {
    struct bench *b = *state;
    b->c.settings.allow_replica_migration = false;
    node(b, 'c')->shard_id = b->c.state.self->shard_id;
    lose_all_slots_to_c(b);
    assert_true(b->c.state.self->primary == node(b, 'c'));
}

static void what_is_announced_is_saved_first(void **state) {
    struct bench *b = *state;
    struct slot_step comes = { .slot = 250, .way = SLOT_IMPORTS, .node = named('c') };
    struct slot_step is_here = { .slot = 250, .way = SLOT_GOES_TO, .node = b->c.state.self->id };
    assert_null(cluster_set_slot(&b->c, &comes, b->now_ms));
    assert_null(cluster_set_slot(&b->c, &is_here, b->now_ms)); /* has the greatest epoch already */
    settle(b);
    size_t saved = SIZE_MAX, sent = SIZE_MAX;
    for (size_t i = 0; i < b->action_count; i++) {
        if (b->actions[i].kind == ACTION_SAVE && b->actions[i].sync && saved == SIZE_MAX) saved = i;
        if (b->actions[i].kind == ACTION_SEND && sent == SIZE_MAX) sent = i;
    }
    assert_true(sent != SIZE_MAX && saved < sent);
}

/* ---- handing over ---- */

static void the_offset_is_told_when_writes_are_held(void **state) {
    struct bench *b = *state;
    cluster_node_make_replica(&b->c.state, node(b, 'r'), b->c.state.self);
    struct message_header h = header(b, 'r', MESSAGE_MFSTART);
    give(b, &h, LIT(""));
    assert_true(count_of(b, ACTION_PAUSE) == 1 && b->told_paused == 0);
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_int_equal(b->told_paused, 0);
    cluster_writes_held(&b->c, b->now_ms);
    settle(b);
    assert_int_equal(b->told_paused, 1);
    b->now_ms += 2 * b->c.settings.manual_failover_timeout_ms + 1;
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    assert_int_equal(count_of(b, ACTION_RESUME), 1);
}

/* ---- soundness ---- */

static bool becomes_sound(struct bench *b, int64_t after_ms) {
    b->now_ms += after_ms;
    for (const char *l = "bc"; *l; l++) {
        struct message_header h = header(b, *l, MESSAGE_PONG);
        give_on(b, node(b, *l)->link, &h, LIT(""));
    }
    cluster_tick(&b->c, b->now_ms);
    settle(b);
    return b->c.is_sound;
}

/* A primary that starts, and one that comes out of a minority, hears of what has changed before it serves. */
static void a_primary_waits_before_it_serves(void **state) {
    struct bench *b = *state;
    assert_false(becomes_sound(b, 1900));
    assert_true(becomes_sound(b, 100));
    for (int i = 0; i < 3; i++) {
        b->now_ms += TIMEOUT_MS;
        cluster_tick(&b->c, b->now_ms);
        settle(b);
    }
    assert_false(b->c.is_sound);
    assert_false(becomes_sound(b, 100));
    assert_false(becomes_sound(b, 800));
    assert_true(becomes_sound(b, 200)); /* a node timeout after the last look without a majority */
}

/* ---- time ---- */

static void a_clock_that_is_put_back_goes_on_from_there(void **state) {
    struct bench *b = *state;
    int64_t put_back_ms = START_MS - 3600000;
    for (int64_t ms = 0; ms <= 2 * TIMEOUT_MS; ms += CLUSTER_TICK_MS) {
        cluster_tick(&b->c, put_back_ms + ms);
        settle(b);
    }
    assert_true(node_is_suspected(node(b, 'b')));
    /* A pause ends by the clock of the caller. */
    cluster_node_make_replica(&b->c.state, node(b, 'r'), b->c.state.self);
    struct message_header h = header(b, 'r', MESSAGE_MFSTART);
    b->now_ms = put_back_ms + 2 * TIMEOUT_MS;
    give(b, &h, LIT(""));
    for (size_t i = 0; i < b->action_count; i++)
        if (b->actions[i].kind == ACTION_PAUSE) assert_true(b->actions[i].until_ms == b->now_ms + 10000);
    assert_int_equal(count_of(b, ACTION_PAUSE), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BENCH_TEST(strangers_are_not_believed),
        BENCH_TEST(known_nodes_are_believed),
        BENCH_TEST(a_vote_is_saved_before_it_is_sent),
        BENCH_TEST(votes_are_refused_when_they_should_be),
        BENCH_TEST(a_forced_vote_needs_no_failure),
        BENCH_TEST(the_later_epoch_gets_the_slots),
        BENCH_TEST(an_equal_epoch_takes_no_slots),
        BENCH_TEST(who_loses_the_last_slot_follows_the_winner),
        BENCH_TEST(of_two_primaries_with_one_epoch_the_smaller_name_moves_on),
        BENCH_TEST(old_headers_change_nothing),
        BENCH_TEST(a_light_header_needs_a_link_that_is_known),
        BENCH_TEST(a_node_that_moves_is_dialled_at_its_new_place),
        BENCH_TEST(an_epoch_taken_by_hand_is_not_told_at_once),
        BENCH_TEST(a_node_learns_its_address_from_those_who_found_it),
        BENCH_TEST(a_handshake_brings_the_epochs_too),
        BENCH_TEST(a_handshake_under_a_name_that_is_taken_comes_to_nothing),
        BENCH_TEST(a_known_node_that_is_met_elsewhere_has_moved),
        BENCH_TEST(messages_of_modules_are_passed_over),
        BENCH_TEST(a_ban_is_told_as_long_as_it_lasts),
        BENCH_TEST(the_epoch_of_a_primary_ends_with_its_role),
        BENCH_TEST(an_update_about_who_was_replaced_is_late),
        BENCH_TEST(a_stale_header_does_not_undo_a_failover),
        BENCH_TEST(a_replica_that_was_reset_is_believed),
        BENCH_TEST(a_replaced_primary_tells_who_has_its_slots),
        BENCH_TEST(a_replica_of_a_replica_goes_to_the_top),
        BENCH_TEST(a_replica_goes_with_the_shard_of_its_primary),
        BENCH_TEST(without_migration_of_replicas_the_loser_stays_a_primary),
        BENCH_TEST(inside_of_a_shard_the_loser_follows_in_any_case),
        BENCH_TEST(a_primary_waits_before_it_serves),
        BENCH_TEST(what_is_announced_is_saved_first),
        BENCH_TEST(the_offset_is_told_when_writes_are_held),
        BENCH_TEST(a_clock_that_is_put_back_goes_on_from_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
