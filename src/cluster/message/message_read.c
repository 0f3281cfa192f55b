/* message_read.c: bytes to messages. A packet is checked as a whole before anything points into it: its
 * length must be that of its type and of the counts in it, to the byte. */
#include "layout.h"
#include "trivet/cluster/message/message.h"
#include <assert.h>

static bool has_signature(struct slice bytes) {
    size_t known = bytes.len < 4 ? bytes.len : 4;
    return memcmp(bytes.ptr, MESSAGE_SIGNATURE, known) == 0;
}

enum frame message_frame(struct slice bytes, size_t *length) {
    *length = MESSAGE_FRAME_SIZE;
    if (bytes.len > 0 && !has_signature(bytes)) return FRAME_BROKEN;
    if (bytes.len < MESSAGE_FRAME_SIZE) return FRAME_MORE;
    bool light = (get16(bytes.ptr + AT_TYPE) & MESSAGE_LIGHT) != 0;
    uint32_t all = get32(bytes.ptr + AT_LENGTH);
    if (all < (light ? MESSAGE_LIGHT_HEADER_SIZE : MESSAGE_HEADER_SIZE) || all > MESSAGE_SIZE_MAX)
        return FRAME_BROKEN;
    *length = all;
    return bytes.len >= all ? FRAME_READY : FRAME_MORE;
}

struct node_ip node_ip_make(struct slice text) {
    struct node_ip ip = { { 0 } };
    if (text.len > 0 && text.len <= sizeof ip.text) memcpy(ip.text, text.ptr, text.len);
    return ip;
}

struct slice node_ip_slice(const struct node_ip *ip) {
    return slice_make(ip->text, strnlen(ip->text, sizeof ip->text));
}

static void read_header(const char *p, struct message_header *h) {
    h->port = get16(p + AT_PORT);
    h->pport = get16(p + AT_PPORT);
    h->cport = get16(p + AT_CPORT);
    h->flags = get16(p + AT_FLAGS);
    h->state = (uint8_t)p[AT_STATE];
    memcpy(h->message_flags, p + AT_MESSAGE_FLAGS, sizeof h->message_flags);
    h->current_epoch = get64(p + AT_CURRENT_EPOCH);
    h->config_epoch = get64(p + AT_CONFIG_EPOCH);
    h->offset = get64(p + AT_OFFSET);
    memcpy(&h->sender, p + AT_SENDER, sizeof h->sender);
    memcpy(&h->primary, p + AT_PRIMARY, sizeof h->primary);
    memcpy(&h->ip, p + AT_IP, sizeof h->ip);
    h->slots = (const struct slot_set *)(p + AT_SLOTS);
}

/* ---- bodies: each returns false if the length is wrong ---- */

static bool extensions_fit(struct slice bytes, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (bytes.len < EXTENSION_HEAD) return false;
        uint32_t length = get32(bytes.ptr);
        if (length < EXTENSION_HEAD || length % 8 != 0 || length > bytes.len) return false;
        bytes = slice_from(bytes, length);
    }
    return bytes.len == 0;
}

static bool read_ping(const char *header, struct slice body, struct message *m) {
    m->gossip_count = get16(header + AT_COUNT);
    size_t size = (size_t)m->gossip_count * GOSSIP_SIZE;
    if (size > body.len) return false;
    bool extended = (m->header.message_flags[0] & MESSAGE_EXTENSIONS) != 0;
    m->extension_count = extended ? get16(header + AT_EXTENSIONS) : 0;
    m->gossip = slice_make(body.ptr, size);
    m->extensions = slice_from(body, size);
    return extensions_fit(m->extensions, m->extension_count);
}

static bool read_failed(struct slice body, struct message *m) {
    if (body.len != sizeof m->about) return false;
    memcpy(&m->about, body.ptr, sizeof m->about);
    return true;
}

static bool read_publish(struct slice body, struct message *m) {
    if (body.len < PUBLISH_HEAD) return false;
    uint64_t channel = get32(body.ptr), payload = get32(body.ptr + 4);
    if (PUBLISH_HEAD + channel + payload != body.len) return false;
    m->channel = slice_make(body.ptr + PUBLISH_HEAD, channel);
    m->payload = slice_make(body.ptr + PUBLISH_HEAD + channel, payload);
    return true;
}

static bool read_update(struct slice body, struct message *m) {
    if (body.len != UPDATE_SIZE) return false;
    m->update_epoch = get64(body.ptr);
    memcpy(&m->about, body.ptr + 8, sizeof m->about);
    m->update_slots = (const struct slot_set *)(body.ptr + 48);
    return true;
}

static bool read_module(struct slice body, struct message *m) {
    if (body.len < MODULE_HEAD || (uint64_t)MODULE_HEAD + get32(body.ptr + 8) != body.len) return false;
    memcpy(m->module_id, body.ptr, sizeof m->module_id);
    m->module_type = (uint8_t)body.ptr[12];
    m->payload = slice_from(body, MODULE_HEAD);
    return true;
}

static bool read_body(const char *header, struct slice body, struct message *m) {
    switch (m->header.type) {
    case MESSAGE_PING:
    case MESSAGE_PONG:
    case MESSAGE_MEET: return read_ping(header, body, m);
    case MESSAGE_FAIL: return read_failed(body, m);
    case MESSAGE_PUBLISH:
    case MESSAGE_PUBLISHSHARD: return read_publish(body, m);
    case MESSAGE_AUTH_REQUEST:
    case MESSAGE_AUTH_ACK:
    case MESSAGE_MFSTART: return body.len == 0;
    case MESSAGE_UPDATE: return read_update(body, m);
    case MESSAGE_MODULE: return read_module(body, m);
    case MESSAGE_TYPE_COUNT: break;
    }
    assert(!"types are checked before");
    return false;
}

static bool may_be_light(unsigned type) {
    return type == MESSAGE_PUBLISH || type == MESSAGE_PUBLISHSHARD || type == MESSAGE_MODULE;
}

const char *message_decode(struct slice packet, struct message *out) {
    size_t length;
    if (message_frame(packet, &length) != FRAME_READY || length != packet.len)
        return "its length is not that of its header";
    if (get16(packet.ptr + AT_VERSION) != MESSAGE_VERSION) return "of another version of the bus";
    unsigned type = get16(packet.ptr + AT_TYPE);
    bool light = (type & MESSAGE_LIGHT) != 0;
    type &= ~MESSAGE_LIGHT;
    if (type >= MESSAGE_TYPE_COUNT) return "of an unknown type";
    if (light && !may_be_light(type)) return "of a type that has no light header";

    struct message m = { .light = light, .header.type = (enum message_type)type };
    if (!light) read_header(packet.ptr, &m.header);
    size_t head = light ? MESSAGE_LIGHT_HEADER_SIZE : MESSAGE_HEADER_SIZE;
    if (!read_body(packet.ptr, slice_from(packet, head), &m)) return "its length is not that of its type";
    *out = m;
    return NULL;
}

/* ---- lists ---- */

struct gossip gossip_at(const struct message *m, unsigned i) {
    assert(i < m->gossip_count);
    const char *p = m->gossip.ptr + (size_t)i * GOSSIP_SIZE;
    struct gossip g = {
        .ping_sent_s = get32(p + GOSSIP_PING),
        .pong_received_s = get32(p + GOSSIP_PONG),
        .port = get16(p + GOSSIP_PORT),
        .cport = get16(p + GOSSIP_CPORT),
        .flags = get16(p + GOSSIP_FLAGS),
        .pport = get16(p + GOSSIP_PPORT),
    };
    memcpy(&g.id, p + GOSSIP_ID, sizeof g.id);
    memcpy(&g.ip, p + GOSSIP_IP, sizeof g.ip);
    return g;
}

bool extension_next(const struct message *m, size_t *at, struct extension *out) {
    assert(*at <= m->extensions.len);
    if (*at == m->extensions.len) return false;
    const char *p = m->extensions.ptr + *at;
    uint32_t length = get32(p);
    out->type = get16(p + 4);
    out->data = slice_make(p + EXTENSION_HEAD, length - EXTENSION_HEAD);
    *at += length;
    return true;
}

struct slice extension_text(const struct extension *e) {
    return slice_make(e->data.ptr, e->data.len ? strnlen(e->data.ptr, e->data.len) : 0);
}

bool extension_forgotten(const struct extension *e, struct node_id *id, uint64_t *left_s) {
    if (e->data.len != NODE_ID_LEN + 8) return false;
    memcpy(id, e->data.ptr, NODE_ID_LEN);
    *left_s = get64(e->data.ptr + NODE_ID_LEN);
    return true;
}

const char *message_type_name(enum message_type type) {
    static const char *const names[MESSAGE_TYPE_COUNT] = {
        [MESSAGE_PING] = "ping",
        [MESSAGE_PONG] = "pong",
        [MESSAGE_MEET] = "meet",
        [MESSAGE_FAIL] = "fail",
        [MESSAGE_PUBLISH] = "publish",
        [MESSAGE_AUTH_REQUEST] = "auth-req",
        [MESSAGE_AUTH_ACK] = "auth-ack",
        [MESSAGE_UPDATE] = "update",
        [MESSAGE_MFSTART] = "mfstart",
        [MESSAGE_MODULE] = "module",
        [MESSAGE_PUBLISHSHARD] = "publishshard",
    };
    assert(type < MESSAGE_TYPE_COUNT);
    return names[type];
}
