/* message_write.c: messages to bytes. What a packet does not use is zero. */
#include "layout.h"
#include "trivet/cluster/message/message.h"
#include <assert.h>

/* Appends `size` zero bytes; returns them. Valid until the next change of the buffer. */
static char *put_zeros(struct buf *out, size_t size) {
    char *p = buf_reserve(out, size);
    memset(p, 0, size);
    out->len += size;
    return p;
}

size_t message_begin(struct buf *out, const struct message_header *h) {
    size_t at = out->len;
    char *p = put_zeros(out, MESSAGE_HEADER_SIZE);
    memcpy(p, MESSAGE_SIGNATURE, 4);
    put16(p + AT_VERSION, MESSAGE_VERSION);
    put16(p + AT_TYPE, (uint16_t)h->type);
    put16(p + AT_PORT, h->port);
    put16(p + AT_PPORT, h->pport);
    put16(p + AT_CPORT, h->cport);
    put16(p + AT_FLAGS, h->flags);
    p[AT_STATE] = (char)h->state;
    memcpy(p + AT_MESSAGE_FLAGS, h->message_flags, sizeof h->message_flags);
    put64(p + AT_CURRENT_EPOCH, h->current_epoch);
    put64(p + AT_CONFIG_EPOCH, h->config_epoch);
    put64(p + AT_OFFSET, h->offset);
    memcpy(p + AT_SENDER, &h->sender, sizeof h->sender);
    memcpy(p + AT_PRIMARY, &h->primary, sizeof h->primary);
    memcpy(p + AT_IP, &h->ip, sizeof h->ip);
    if (h->slots) memcpy(p + AT_SLOTS, h->slots, sizeof *h->slots);
    return at;
}

size_t message_begin_light(struct buf *out, enum message_type type) {
    size_t at = out->len;
    char *p = put_zeros(out, MESSAGE_LIGHT_HEADER_SIZE);
    memcpy(p, MESSAGE_SIGNATURE, 4);
    put16(p + AT_VERSION, MESSAGE_LIGHT_VERSION);
    put16(p + AT_TYPE, (uint16_t)(MESSAGE_LIGHT | (unsigned)type));
    return at;
}

/* Adds one to a count in a header that was written. */
static void count_up(struct buf *out, size_t at, size_t field) {
    char *p = out->ptr + at + field;
    unsigned count = get16(p);
    assert(count < UINT16_MAX);
    put16(p, (uint16_t)(count + 1));
}

void message_put_gossip(struct buf *out, size_t at, const struct gossip *g) {
    assert(get16(out->ptr + at + AT_EXTENSIONS) == 0);
    char *p = put_zeros(out, GOSSIP_SIZE);
    memcpy(p + GOSSIP_ID, &g->id, sizeof g->id);
    memcpy(p + GOSSIP_IP, &g->ip, sizeof g->ip);
    put32(p + GOSSIP_PING, g->ping_sent_s);
    put32(p + GOSSIP_PONG, g->pong_received_s);
    put16(p + GOSSIP_PORT, g->port);
    put16(p + GOSSIP_CPORT, g->cport);
    put16(p + GOSSIP_FLAGS, g->flags);
    put16(p + GOSSIP_PPORT, g->pport);
    count_up(out, at, AT_COUNT);
}

/* Data of `size` bytes, zero and padded; returns where it goes. */
static char *put_extension(struct buf *out, size_t at, uint16_t type, size_t size) {
    size_t length = EXTENSION_HEAD + (size + 7) / 8 * 8;
    char *p = put_zeros(out, length);
    put32(p, (uint32_t)length);
    put16(p + 4, type);
    count_up(out, at, AT_EXTENSIONS);
    out->ptr[at + AT_MESSAGE_FLAGS] |= MESSAGE_EXTENSIONS;
    return p + EXTENSION_HEAD;
}

void message_put_extension(struct buf *out, size_t at, uint16_t type, struct slice data) {
    char *p = put_extension(out, at, type, data.len);
    if (data.len) memcpy(p, data.ptr, data.len);
}

void message_put_extension_text(struct buf *out, size_t at, uint16_t type, struct slice text) {
    char *p = put_extension(out, at, type, text.len + 1);
    if (text.len) memcpy(p, text.ptr, text.len);
}

void message_put_extension_port(struct buf *out, size_t at, uint16_t type, uint16_t port) {
    put16(put_extension(out, at, type, 2), port);
}

void message_put_extension_forgotten(struct buf *out, size_t at, const struct node_id *id, uint64_t left_s) {
    char *p = put_extension(out, at, EXTENSION_FORGOTTEN, NODE_ID_LEN + 8);
    memcpy(p, id, sizeof *id);
    put64(p + NODE_ID_LEN, left_s);
}

void message_put_failed(struct buf *out, const struct node_id *id) { buf_append(out, node_id_slice(id)); }

void message_put_publish(struct buf *out, struct slice channel, struct slice payload) {
    char *p = put_zeros(out, PUBLISH_HEAD);
    put32(p, (uint32_t)channel.len);
    put32(p + 4, (uint32_t)payload.len);
    buf_append(out, channel);
    buf_append(out, payload);
}

void message_put_update(struct buf *out, uint64_t epoch, const struct node_id *id,
                        const struct slot_set *slots) {
    char *p = put_zeros(out, UPDATE_SIZE);
    put64(p, epoch);
    memcpy(p + 8, id, sizeof *id);
    memcpy(p + 48, slots, sizeof *slots);
}

void message_put_module(struct buf *out, const uint8_t id[8], uint8_t type, struct slice payload) {
    char *p = put_zeros(out, MODULE_HEAD);
    memcpy(p, id, 8);
    put32(p + 8, (uint32_t)payload.len);
    p[12] = (char)type;
    buf_append(out, payload);
}

void message_end(struct buf *out, size_t at) {
    assert(out->len - at <= MESSAGE_SIZE_MAX);
    put32(out->ptr + at + AT_LENGTH, (uint32_t)(out->len - at));
}
