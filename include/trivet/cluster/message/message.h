/* message.h: the packets of the cluster bus, from bytes and to bytes.
 *
 * A link is a stream of packets. message_frame() says where the first one ends, message_decode() reads it
 * into a struct that points into the packet's bytes, and the message_put functions write one. Numbers on the
 * bus are big-endian; here they are of this machine. Any bytes may be given: what does not fit is refused,
 * and nothing outside of the packet is read. Pure functions. Thread: any. */
#ifndef TRIVET_CLUSTER_MESSAGE_MESSAGE_H
#define TRIVET_CLUSTER_MESSAGE_MESSAGE_H

#include "trivet/base/buf.h"
#include "trivet/cluster/message/node_id.h"
#include "trivet/cluster/slots/slot_set.h"
#include <stdint.h>

enum message_type {
    MESSAGE_PING,
    MESSAGE_PONG,
    MESSAGE_MEET,
    MESSAGE_FAIL,
    MESSAGE_PUBLISH,
    MESSAGE_AUTH_REQUEST,
    MESSAGE_AUTH_ACK,
    MESSAGE_UPDATE,
    MESSAGE_MFSTART,
    MESSAGE_MODULE,
    MESSAGE_PUBLISHSHARD,
    MESSAGE_TYPE_COUNT,
};

/* What a node says of itself in `flags`; gossip says it of others. */
#define NODE_PRIMARY 0x1u
#define NODE_REPLICA 0x2u
#define NODE_PFAIL 0x4u /* suspected by the one who says it */
#define NODE_FAIL 0x8u  /* by the majority's word */
#define NODE_SELF 0x10u
#define NODE_HANDSHAKE 0x20u /* its name is not known yet */
#define NODE_NOADDR 0x40u
#define NODE_MEET 0x80u        /* to be greeted with MEET */
#define NODE_MIGRATE_TO 0x100u /* has or had replicas, may get migrating ones */
#define NODE_NOFAILOVER 0x200u
#define NODE_EXTENSIONS 0x400u
#define NODE_LIGHT_PUBLISH 0x800u
#define NODE_LIGHT_MODULE 0x1000u /* also: MEET may come again */
#define NODE_MY_PRIMARY_FAILS 0x2000u

/* In header.message_flags[0]. */
#define MESSAGE_PAUSED 0x1u
#define MESSAGE_FORCE_ACK 0x2u
#define MESSAGE_EXTENSIONS 0x4u

#define MESSAGE_HEADER_SIZE 2256u
#define MESSAGE_LIGHT_HEADER_SIZE 16u
#define MESSAGE_FRAME_SIZE 16u /* so many bytes tell a packet's length */
#define MESSAGE_SIZE_MAX (1024u * 1024 * 1024)
#define NODE_IP_SIZE 46u

/* An address as packets carry it: zero-ended unless it fills the field. */
struct node_ip {
    char text[NODE_IP_SIZE];
};
/* Empty if the text does not fit. */
struct node_ip node_ip_make(struct slice text);
struct slice node_ip_slice(const struct node_ip *ip);

struct message_header {
    enum message_type type;
    uint16_t port, pport, cport; /* of clients; the other of plain and TLS, 0 if none; of the bus */
    uint16_t flags;              /* NODE_... of the sender */
    uint8_t state;               /* 0: the sender holds the cluster for sound */
    uint8_t message_flags[3];
    uint64_t current_epoch;
    uint64_t config_epoch; /* a replica gives its primary's, and the same with `slots` */
    uint64_t offset;
    struct node_id sender, primary; /* primary: none if the sender is one itself */
    struct node_ip ip;              /* empty: the other end of the link */
    const struct slot_set *slots;   /* in the packet; NULL when writing: none */
};

/* One node as another one sees it. Times are in seconds of Unix time. */
struct gossip {
    struct node_id id;
    uint32_t ping_sent_s, pong_received_s;
    struct node_ip ip;
    uint16_t port, cport, flags, pport;
};

enum extension_type {
    EXTENSION_HOSTNAME,
    EXTENSION_HUMAN_NAME,
    EXTENSION_FORGOTTEN, /* id, seconds */
    EXTENSION_SHARD_ID,
    EXTENSION_CLIENT_IPV4,
    EXTENSION_CLIENT_IPV6,
    EXTENSION_CLIENT_PORT,
    EXTENSION_CLIENT_TLS_PORT,
    EXTENSION_ZONE,
};

struct extension {
    uint16_t type;     /* may be none of the above */
    struct slice data; /* with its padding */
};

struct message {
    bool light;                   /* only type, channel, payload and module are there */
    struct message_header header; /* .slots is never NULL, unless the header is light */
    uint16_t gossip_count, extension_count;
    struct slice gossip, extensions;     /* as bytes, see gossip_at() and extension_next() */
    struct slice channel, payload;       /* PUBLISH, PUBLISHSHARD; payload also of MODULE */
    struct node_id about;                /* FAIL: who has failed; UPDATE: the owner */
    uint64_t update_epoch;               /* UPDATE */
    const struct slot_set *update_slots; /* UPDATE */
    uint8_t module_id[8], module_type;   /* MODULE; the id in the sender's byte order */
};

/* ---- reading ---- */

enum frame { FRAME_MORE, FRAME_READY, FRAME_BROKEN };
/* READY: the first `*length` bytes are a packet. MORE: there are fewer; *length is how many are wanted in
 * all, as far as can be told. BROKEN: this is no packet of the bus, the link is of no use. */
enum frame message_frame(struct slice bytes, size_t *length);

/* Reads one whole packet. NULL if it is good; else why it has to be dropped, a constant text. The link may
 * live on. */
MUST_CHECK const char *message_decode(struct slice packet, struct message *out);
/* i < gossip_count. */
struct gossip gossip_at(const struct message *m, unsigned i);
/* Steps through the extensions: *at is 0 at first. False when there are no more. */
bool extension_next(const struct message *m, size_t *at, struct extension *out);
/* The text of a zero-ended extension. */
struct slice extension_text(const struct extension *e);
/* The node and the seconds of EXTENSION_FORGOTTEN; false if it is of another size. */
MUST_CHECK bool extension_forgotten(const struct extension *e, struct node_id *id, uint64_t *left_s);
/* "ping", "auth-req"; the names that CLUSTER INFO has. */
const char *message_type_name(enum message_type type);

/* ---- writing ---- */

/* Appends a header; what is put next is its body. message_end() must follow. Returns where the packet begins
 * in the buffer. */
size_t message_begin(struct buf *out, const struct message_header *header);
size_t message_begin_light(struct buf *out, enum message_type type);
/* All gossip comes before all extensions. */
void message_put_gossip(struct buf *out, size_t at, const struct gossip *g);
/* Pads the data to a multiple of eight. */
void message_put_extension(struct buf *out, size_t at, uint16_t type, struct slice data);
/* A zero-ended text. */
void message_put_extension_text(struct buf *out, size_t at, uint16_t type, struct slice text);
void message_put_extension_port(struct buf *out, size_t at, uint16_t type, uint16_t port);
void message_put_extension_forgotten(struct buf *out, size_t at, const struct node_id *id, uint64_t left_s);
void message_put_failed(struct buf *out, const struct node_id *id);
void message_put_publish(struct buf *out, struct slice channel, struct slice payload);
void message_put_update(struct buf *out, uint64_t epoch, const struct node_id *id,
                        const struct slot_set *slots);
void message_put_module(struct buf *out, const uint8_t id[8], uint8_t type, struct slice payload);
/* Fills in the length. */
void message_end(struct buf *out, size_t at);

#endif
