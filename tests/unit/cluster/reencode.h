/* reencode.h: writes a message that was read: for tests that a packet comes out as it came in. What the
 * reader passes over (reserved bytes, extensions that are not announced) is lost. */
#ifndef TESTS_UNIT_CLUSTER_REENCODE_H
#define TESTS_UNIT_CLUSTER_REENCODE_H

#include "trivet/cluster/message/message.h"
#include <assert.h>

static inline void reencode_lists(const struct message *m, size_t begin, struct buf *out) {
    for (unsigned i = 0; i < m->gossip_count; i++) {
        struct gossip g = gossip_at(m, i);
        message_put_gossip(out, begin, &g);
    }
    struct extension e;
    for (size_t at = 0; extension_next(m, &at, &e);) message_put_extension(out, begin, e.type, e.data);
}

static inline void reencode(const struct message *m, struct buf *out) {
    enum message_type type = m->header.type;
    size_t begin = m->light ? message_begin_light(out, type) : message_begin(out, &m->header);
    switch (type) {
    case MESSAGE_PING:
    case MESSAGE_PONG:
    case MESSAGE_MEET: reencode_lists(m, begin, out); break;
    case MESSAGE_FAIL: message_put_failed(out, &m->about); break;
    case MESSAGE_PUBLISH:
    case MESSAGE_PUBLISHSHARD: message_put_publish(out, m->channel, m->payload); break;
    case MESSAGE_UPDATE: message_put_update(out, m->update_epoch, &m->about, m->update_slots); break;
    case MESSAGE_MODULE: message_put_module(out, m->module_id, m->module_type, m->payload); break;
    case MESSAGE_AUTH_REQUEST:
    case MESSAGE_AUTH_ACK:
    case MESSAGE_MFSTART: break;
    case MESSAGE_TYPE_COUNT: assert(!"no such type");
    }
    message_end(out, begin);
}

#endif
