/* Packets of the bus: one that redis-server 7.0 sent, every type through the writer and the reader, and bytes
 * that are no packets. */
#include "../reencode.h"
#include "trivet/base/mem.h"
#include "trivet/base/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Parts of a packet that are not zero, as hex. */
struct part {
    size_t at;
    const char *hex;
};

/* A PONG of redis-server 7.0.15 with port 17001, slots 0-3 and 16383, and the hostname "host.example". */
static const struct part pong_of_redis[] = {
    { 0, "52436d62000008e8000142690001" },
    { 40, "623530656138323230653333306535356339643164636162363930336634663634306232656130630f" },
    { 2127, "80" },
    { 2215, "01" },
    { 2248, "69790011010400000000001800000000686f73742e6578616d706c65" },
};
#define PONG_OF_REDIS_SIZE 2280

static void fill(char *packet, const struct part *parts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *to = packet + parts[i].at;
        for (const char *hex = parts[i].hex; *hex; hex += 2) {
            char two[3] = { hex[0], hex[1], '\0' };
            *to++ = (char)strtoul(two, NULL, 16);
        }
    }
}

static void a_pong_of_redis_is_read_to_its_last_field(void **state) {
    (void)state;
    static char packet[PONG_OF_REDIS_SIZE];
    fill(packet, pong_of_redis, COUNT_OF(pong_of_redis));
    struct slice bytes = slice_make(packet, sizeof packet);
    struct message m;
    assert_null(message_decode(bytes, &m));
    assert_int_equal(m.header.type, MESSAGE_PONG);
    assert_int_equal(m.header.port, 17001);
    assert_int_equal(m.header.cport, 27001);
    assert_int_equal(m.header.flags, NODE_PRIMARY | NODE_SELF);
    assert_int_equal(m.header.state, 1);
    assert_memory_equal(&m.header.sender, "b50ea8220e330e55c9d1dcab6903f4f640b2ea0c", NODE_ID_LEN);
    assert_true(node_id_is_none(&m.header.primary));
    assert_int_equal(slot_set_count(m.header.slots), 5);
    assert_true(slot_set_has(m.header.slots, 3) && slot_set_has(m.header.slots, 16383));
    assert_int_equal(m.gossip_count, 0);
    size_t at = 0;
    struct extension e;
    assert_true(extension_next(&m, &at, &e));
    assert_int_equal(e.type, EXTENSION_HOSTNAME);
    assert_true(slice_equal(extension_text(&e), LIT("host.example")));
    assert_false(extension_next(&m, &at, &e));

    struct buf again = { 0 };
    reencode(&m, &again);
    assert_true(slice_equal(buf_slice(&again), bytes));
    buf_release(&again);
}

static struct message_header some_header(enum message_type type) {
    static struct slot_set slots;
    for (unsigned slot = 5; slot < SLOT_COUNT; slot += 700) slot_set_add(&slots, slot);
    struct message_header h = {
        .type = type,
        .port = 6379,
        .pport = 6380,
        .cport = 16379,
        .flags = NODE_REPLICA | NODE_SELF,
        .state = 1,
        .message_flags = { MESSAGE_PAUSED, 2, 3 },
        .current_epoch = UINT64_C(0x0102030405060708),
        .config_epoch = UINT64_C(0xf1f2f3f4f5f6f7f8),
        .offset = UINT64_C(0x8000000000000001),
        .ip = node_ip_make(LIT("2001:db8::1")),
        .slots = &slots,
    };
    memset(&h.sender, 's', sizeof h.sender);
    memset(&h.primary, 'p', sizeof h.primary);
    return h;
}

static const uint8_t module_id[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* A message of the type with all that it can have. */
static void write_some(struct buf *out, enum message_type type) {
    struct message_header h = some_header(type);
    size_t at = message_begin(out, &h);
    struct gossip g = { .id = h.primary,
                        .ping_sent_s = 1,
                        .pong_received_s = UINT32_MAX,
                        .ip = h.ip,
                        .port = 1,
                        .cport = 2,
                        .flags = NODE_FAIL,
                        .pport = 3 };
    if (type <= MESSAGE_MEET) {
        message_put_gossip(out, at, &g);
        message_put_gossip(out, at, &g);
        message_put_extension_text(out, at, EXTENSION_HOSTNAME, LIT("seven77"));
        message_put_extension_text(out, at, EXTENSION_HUMAN_NAME, LIT("eight888"));
        message_put_extension(out, at, EXTENSION_SHARD_ID, node_id_slice(&h.sender));
        message_put_extension_port(out, at, EXTENSION_CLIENT_PORT, 0x1234);
        message_put_extension_forgotten(out, at, &h.sender, 60);
    }
    if (type == MESSAGE_FAIL) message_put_failed(out, &h.primary);
    if (type == MESSAGE_PUBLISH || type == MESSAGE_PUBLISHSHARD)
        message_put_publish(out, LIT("channel"), LIT("pay\0load"));
    if (type == MESSAGE_UPDATE) message_put_update(out, 77, &h.primary, h.slots);
    if (type == MESSAGE_MODULE) message_put_module(out, module_id, 9, LIT("module"));
    message_end(out, at);
}

static void every_type_has_the_length_that_the_bus_wants(void **state) {
    (void)state;
    static const size_t sizes[MESSAGE_TYPE_COUNT] = {
        [MESSAGE_PING] = 2256 + 2 * 104 + 16 + 24 + 48 + 16 + 56,
        [MESSAGE_PONG] = 2256 + 2 * 104 + 16 + 24 + 48 + 16 + 56,
        [MESSAGE_MEET] = 2256 + 2 * 104 + 16 + 24 + 48 + 16 + 56,
        [MESSAGE_FAIL] = 2296,
        [MESSAGE_PUBLISH] = 2264 + 7 + 8,
        [MESSAGE_PUBLISHSHARD] = 2264 + 7 + 8,
        [MESSAGE_AUTH_REQUEST] = 2256,
        [MESSAGE_AUTH_ACK] = 2256,
        [MESSAGE_MFSTART] = 2256,
        [MESSAGE_UPDATE] = 4352,
        [MESSAGE_MODULE] = 2269 + 6,
    };
    for (unsigned type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        struct buf packet = { 0 }, again = { 0 };
        write_some(&packet, (enum message_type)type);
        assert_int_equal(packet.len, sizes[type]);
        struct message m;
        assert_null(message_decode(buf_slice(&packet), &m));
        reencode(&m, &again);
        assert_true(slice_equal(buf_slice(&packet), buf_slice(&again)));
        buf_release(&packet);
        buf_release(&again);
    }
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    struct buf packet = { 0 };
    write_some(&packet, MESSAGE_PING);
    struct message m;
    assert_null(message_decode(buf_slice(&packet), &m));
    struct message_header h = some_header(MESSAGE_PING);
    assert_true(m.header.current_epoch == h.current_epoch && m.header.config_epoch == h.config_epoch);
    assert_true(m.header.offset == h.offset && m.header.pport == h.pport && m.header.cport == h.cport);
    assert_true(slice_equal(node_ip_slice(&m.header.ip), LIT("2001:db8::1")));
    assert_int_equal(m.header.message_flags[0], MESSAGE_PAUSED | MESSAGE_EXTENSIONS);
    assert_int_equal(m.header.message_flags[2], 3);
    struct gossip g = gossip_at(&m, 1);
    assert_true(g.pong_received_s == UINT32_MAX && g.port == 1 && g.cport == 2 && g.pport == 3);
    assert_int_equal(g.flags, NODE_FAIL);
    size_t at = 0;
    struct extension e;
    for (int i = 0; i < 5; i++) assert_true(extension_next(&m, &at, &e));
    struct node_id id;
    uint64_t left_s;
    assert_true(extension_forgotten(&e, &id, &left_s));
    assert_true(node_id_equal(&id, &h.sender) && left_s == 60);
    buf_release(&packet);
}

static void light_headers_are_of_messages_alone(void **state) {
    (void)state;
    struct buf packet = { 0 }, again = { 0 };
    size_t at = message_begin_light(&packet, MESSAGE_PUBLISH);
    message_put_publish(&packet, LIT("c"), LIT("hello"));
    message_end(&packet, at);
    assert_int_equal(packet.len, 16 + 8 + 6);
    assert_memory_equal(packet.ptr,
                        "RCmb\0\0\0\x1e\0\x01\0\0\x80\x04\0\0\0\0\0\x01\0\0\0\x05"
                        "chello",
                        30);
    struct message m;
    assert_null(message_decode(buf_slice(&packet), &m));
    assert_true(m.light && slice_equal(m.payload, LIT("hello")));
    reencode(&m, &again);
    assert_true(slice_equal(buf_slice(&packet), buf_slice(&again)));
    packet.ptr[13] = MESSAGE_FAIL;
    assert_non_null(message_decode(buf_slice(&packet), &m));
    buf_release(&packet);
    buf_release(&again);
}

static void a_stream_is_cut_at_the_ends_of_packets(void **state) {
    (void)state;
    struct buf stream = { 0 };
    write_some(&stream, MESSAGE_FAIL);
    size_t first = stream.len, length;
    write_some(&stream, MESSAGE_PUBLISH);
    for (size_t cut = 0; cut <= stream.len; cut++) {
        enum frame frame = message_frame(slice_make(stream.ptr, cut), &length);
        assert_int_equal(frame, cut < first ? FRAME_MORE : FRAME_READY);
        if (cut >= MESSAGE_FRAME_SIZE) assert_int_equal(length, first);
    }
    static const char *const wrong[] = { "X", "RCmX", "RCmb\0\0\x08\xcf\0\x01\0\0\0\0\0\0",
                                         "RCmb\xff\xff\xff\xff\0\x01\0\0\0\0\0\0",
                                         "RCmb\0\0\0\x0f\0\x01\0\0\x80\x04\0\0" };
    static const size_t sizes[] = { 1, 4, 16, 16, 16 };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(message_frame(slice_make(wrong[i], sizes[i]), &length), FRAME_BROKEN);
    buf_release(&stream);
}

/* The packet without its last byte, and with one more, in a block of its own size. */
static void assert_refused_at_another_length(const struct buf *packet) {
    for (int more = -1; more <= 1; more += 2) {
        size_t size = packet->len + (size_t)more;
        char *copy = mem_alloc_zero(size);
        memcpy(copy, packet->ptr, size < packet->len ? size : packet->len);
        copy[6] = (char)(size >> 8);
        copy[7] = (char)size;
        struct message m;
        assert_non_null(message_decode(slice_make(copy, size), &m));
        mem_free(copy);
    }
}

static void a_packet_of_another_length_is_refused(void **state) {
    (void)state;
    for (unsigned type = 0; type < MESSAGE_TYPE_COUNT; type++) {
        struct buf packet = { 0 };
        write_some(&packet, (enum message_type)type);
        assert_refused_at_another_length(&packet);
        buf_release(&packet);
    }
}

static void versions_and_types_that_are_unknown_are_refused(void **state) {
    (void)state;
    struct buf packet = { 0 };
    struct message m;
    write_some(&packet, MESSAGE_MFSTART);
    packet.ptr[13] = MESSAGE_TYPE_COUNT;
    assert_string_equal(message_decode(buf_slice(&packet), &m), "of an unknown type");
    packet.ptr[13] = MESSAGE_MFSTART;
    packet.ptr[9] = 2;
    assert_string_equal(message_decode(buf_slice(&packet), &m), "of another version of the bus");
    buf_release(&packet);
}

/* Bytes changed at random never lead outside of the packet, which the address sanitizer would see. */
static void a_damaged_packet_is_read_or_refused(void **state) {
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct buf packet = { 0 };
        write_some(&packet, (enum message_type)random_below(MESSAGE_TYPE_COUNT));
        char *copy = mem_alloc(packet.len);
        memcpy(copy, packet.ptr, packet.len);
        for (int i = 0; i < 3; i++) {
            size_t at = random_below(2) ? random_below(packet.len) : 2200 + random_below(packet.len - 2200);
            copy[at] = (char)random_u64();
        }
        struct message m;
        struct buf again = { 0 };
        if (!message_decode(slice_make(copy, packet.len), &m)) {
            reencode(&m, &again);
            assert_int_equal(again.len, packet.len);
        }
        buf_release(&again);
        buf_release(&packet);
        mem_free(copy);
    }
}

static void only_forty_lower_case_characters_are_a_name(void **state) {
    (void)state;
    struct node_id id;
    assert_true(node_id_parse(LIT("0123456789abcdefghijklmnopqrstuvwxyz0000"), &id));
    assert_true(slice_equal(node_id_slice(&id), LIT("0123456789abcdefghijklmnopqrstuvwxyz0000")));
    assert_false(node_id_parse(LIT("0123456789abcdefghijklmnopqrstuvwxyz000"), &id));
    assert_false(node_id_parse(LIT("0123456789abcdefghijklmnopqrstuvwxyz000A"), &id));
    assert_false(node_id_parse(LIT("0123456789abcdefghijklmnopqrstuvwxyz00000"), &id));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pong_of_redis_is_read_to_its_last_field),
        cmocka_unit_test(every_type_has_the_length_that_the_bus_wants),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(light_headers_are_of_messages_alone),
        cmocka_unit_test(a_stream_is_cut_at_the_ends_of_packets),
        cmocka_unit_test(a_packet_of_another_length_is_refused),
        cmocka_unit_test(versions_and_types_that_are_unknown_are_refused),
        cmocka_unit_test(a_damaged_packet_is_read_or_refused),
        cmocka_unit_test(only_forty_lower_case_characters_are_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
