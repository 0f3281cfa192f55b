/* layout.h: where the fields of a packet lie, in bytes from its beginning or that of its part; and numbers as
 * the bus writes them. Every offset of the room stands here once. */
#ifndef CLUSTER_MESSAGE_LAYOUT_H
#define CLUSTER_MESSAGE_LAYOUT_H

#include <stdint.h>

enum header_at {
    AT_LENGTH = 4,
    AT_VERSION = 8,
    AT_PORT = 10, /* light: zero */
    AT_TYPE = 12,
    AT_COUNT = 14, /* of gossip entries */
    AT_CURRENT_EPOCH = 16,
    AT_CONFIG_EPOCH = 24,
    AT_OFFSET = 32,
    AT_SENDER = 40,
    AT_SLOTS = 80,
    AT_PRIMARY = 2128,
    AT_IP = 2168,
    AT_EXTENSIONS = 2214,
    AT_PPORT = 2246,
    AT_CPORT = 2248,
    AT_FLAGS = 2250,
    AT_STATE = 2252,
    AT_MESSAGE_FLAGS = 2253,
    AT_BODY = 2256,
};

enum gossip_part {
    GOSSIP_ID = 0,
    GOSSIP_PING = 40,
    GOSSIP_PONG = 44,
    GOSSIP_IP = 48,
    GOSSIP_PORT = 94,
    GOSSIP_CPORT = 96,
    GOSSIP_FLAGS = 98,
    GOSSIP_PPORT = 100,
    GOSSIP_SIZE = 104,
};

enum {
    EXTENSION_HEAD = 8,
    PUBLISH_HEAD = 8,
    UPDATE_SIZE = 8 + 40 + 2048,
    MODULE_HEAD = 8 + 4 + 1,
};

#define MESSAGE_SIGNATURE "RCmb"
#define MESSAGE_VERSION 1
#define MESSAGE_LIGHT_VERSION 1
#define MESSAGE_LIGHT 0x8000u

static inline uint16_t get16(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t get32(const char *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }
static inline uint64_t get64(const char *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }

static inline void put16(char *p, uint16_t n) {
    p[0] = (char)(n >> 8);
    p[1] = (char)n;
}
static inline void put32(char *p, uint32_t n) {
    put16(p, (uint16_t)(n >> 16));
    put16(p + 2, (uint16_t)n);
}
static inline void put64(char *p, uint64_t n) {
    put32(p, (uint32_t)(n >> 32));
    put32(p + 4, (uint32_t)n);
}

#endif
