/* played_node.c: see played_node.h. */
#include "played_node.h"
#include "../unit/cluster/reencode.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void played_bus_open(struct played_bus *b, enum peer kind, const char *const *args) {
    b->node = cnode_start(kind, args);
    assert_true(node_id_parse(slice_of(b->node.id), &b->id));
}

void played_bus_close(struct played_bus *b) { cnode_end(&b->node); }

/* ---- packets ---- */

void played_read(struct wire *w, struct text *packet, struct message *m) {
    size_t length;
    text_clear(packet);
    while (message_frame(text_slice(packet), &length) == FRAME_MORE)
        wire_take(w, length - packet->len, packet);
    assert_int_equal(message_frame(text_slice(packet), &length), FRAME_READY);
    assert_null(message_decode(text_slice(packet), m));
    struct buf again = { 0 };
    reencode(m, &again);
    assert_int_equal(again.len, packet->len);
    assert_memory_equal(again.ptr, packet->ptr, again.len);
    buf_release(&again);
}

void played_say(struct played_node *n, struct wire *w, enum message_type type) {
    struct buf out = { 0 };
    n->self.type = type;
    size_t at = message_begin(&out, &n->self);
    message_end(&out, at);
    wire_send(w, out.ptr, out.len);
    buf_release(&out);
}

struct message played_await(struct played_node *n, enum message_type type) {
    struct message m;
    do {
        played_read(n->from, &n->packet, &m);
        if (m.header.type == MESSAGE_PING) played_say(n, n->from, MESSAGE_PONG);
    } while (m.header.type != type);
    return m;
}

/* ---- nodes ---- */

void played_join(struct played_bus *b, struct played_node *n, char letter,
                 const struct played_node *primary) {
    *n = (struct played_node){ .listener = wire_listen() };
    n->self = (struct message_header){ .port = 1, .flags = NODE_SELF | NODE_PRIMARY, .slots = &n->slots };
    n->self.cport = (uint16_t)wire_port(n->listener);
    memset(&n->self.sender, letter, sizeof n->self.sender);
    if (primary) {
        n->self.flags = NODE_SELF | NODE_REPLICA;
        n->self.primary = primary->self.sender;
    }
    n->to = wire_connect(b->node.bus_port);
    played_say(n, n->to, MESSAGE_MEET);
    struct message m;
    played_read(n->to, &n->packet, &m);
    assert_int_equal(m.header.type, MESSAGE_PONG);
    assert_true(node_id_equal(&m.header.sender, &b->id));
    n->from = wire_accept(n->listener);
    played_await(n, MESSAGE_PING);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%.*s 127.0.0.1:1@", NODE_ID_ARG(&n->self.sender));
    assert_soon(cnode_says(&b->node, "CLUSTER NODES", wanted));
}

void played_leave(struct played_node *n) {
    wire_close(n->to);
    wire_close(n->from);
    wire_listener_close(n->listener);
    text_release(&n->packet);
}

void played_announce(struct played_node *n) {
    struct message m;
    played_say(n, n->to, MESSAGE_PING);
    played_read(n->to, &n->packet, &m);
    assert_int_equal(m.header.type, MESSAGE_PONG);
}
