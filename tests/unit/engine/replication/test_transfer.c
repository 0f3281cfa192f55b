/* A transfer: what is put in by one thread comes out whole for each replica, in its worker's thread. */
#include "../../../harness/loopback.h"
#include "../../../harness/text.h"
#include "trivet/base/thread.h"
#include "trivet/engine/replication/transfer.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECES 200
#define PIECE 50000 /* together more than what may wait for the slowest */

static struct replica *replica_in(struct loopback *l) { return replica_of(loopback_client(l)); }

static void goes(struct loopback *l) {
    replica_release(loopback_client(l));
    loopback_client(l)->flags &= ~(uint32_t)CLIENT_REPLICA;
    loopback_close(l);
}

/* Takes what is there now, at most so many bytes. */
static void take(struct replica *r, struct text *out, size_t most) {
    struct iovec v;
    if (transfer_vectors(r, &v, 1) != 1) return;
    size_t len = v.iov_len < most ? v.iov_len : most;
    text_append(out, v.iov_base, len);
    transfer_advance(r, len);
}

/* "$EOF:<mark>\r\n" stood before it, and <mark> stands behind it. */
static void assert_whole(const struct text *got, size_t len) {
    assert_int_equal(got->len, 5 + 40 + 2 + len + 40);
    assert_memory_equal(got->ptr, "$EOF:", 5);
    assert_memory_equal(got->ptr + 5, got->ptr + got->len - 40, 40);
    for (size_t i = 0; i < len; i += PIECE) assert_int_equal(got->ptr[47 + i], 'a' + (char)(i / PIECE % 26));
}

static void *fill(void *arg) {
    static char piece[PIECE];
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        transfer_put(arg, slice_make(piece, sizeof piece));
        if (!transfer_wait(arg)) return NULL;
    }
    transfer_finish(arg);
    return NULL;
}

static void replicas_of_different_speed_get_the_same(void **state) {
    (void)state;
    struct transfer *t = transfer_new();
    struct loopback *clients[] = { loopback_open(), loopback_open() };
    struct text got[2] = { { 0 }, { 0 } };
    pthread_t filler;
    for (size_t i = 0; i < 2; i++) transfer_attach(t, replica_in(clients[i]));
    assert_true(thread_start(&filler, "filler", fill, t));
    for (bool done = false; !done;) {
        done = true;
        for (size_t i = 0; i < 2; i++) {
            struct replica *r = replica_in(clients[i]);
            enum transfer_next next = transfer_look(r);
            assert_int_not_equal(next, TRANSFER_BROKEN);
            done &= next == TRANSFER_DONE;
            if (next == TRANSFER_HAS_BYTES) take(r, &got[i], i == 0 ? SIZE_MAX : 30011);
        }
        sched_yield();
    }
    pthread_join(filler, NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_whole(&got[i], (size_t)PIECES * PIECE);
        text_release(&got[i]);
        goes(clients[i]);
    }
    transfer_unref(t);
    assert_int_equal(transfers_memory(), 0);
}

static void filling_ends_when_the_last_replica_goes(void **state) {
    (void)state;
    struct transfer *t = transfer_new();
    struct loopback *l = loopback_open();
    pthread_t filler;
    transfer_attach(t, replica_in(l));
    assert_true(thread_start(&filler, "filler", fill, t));
    while (transfers_memory() < (size_t)8 * 1024 * 1024) sched_yield(); /* then it waits */
    goes(l);
    pthread_join(filler, NULL);
    transfer_unref(t);
    assert_int_equal(transfers_memory(), 0);
}

static void a_transfer_that_failed_is_told(void **state) {
    (void)state;
    struct transfer *t = transfer_new();
    struct loopback *l = loopback_open();
    struct text got = { 0 };
    transfer_attach(t, replica_in(l));
    take(replica_in(l), &got, SIZE_MAX);
    assert_int_equal(transfer_look(replica_in(l)), TRANSFER_WAITS);
    transfer_fail(t);
    assert_int_equal(transfer_look(replica_in(l)), TRANSFER_BROKEN);
    assert_false(transfer_wait(t));
    text_release(&got);
    goes(l);
    transfer_unref(t);
}

static void a_file_goes_with_its_length(void **state) {
    (void)state;
    char path[] = "/tmp/trivet-transfer-XXXXXX";
    struct buf error = { 0 };
    struct text got = { 0 };
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "REDIS0011...", 12) == 12);
    struct transfer *t = transfer_of_file(fd, &error);
    assert_non_null(t);
    close(fd);
    unlink(path);
    struct loopback *l = loopback_open();
    transfer_attach(t, replica_in(l));
    while (transfer_look(replica_in(l)) == TRANSFER_HAS_BYTES) take(replica_in(l), &got, 3);
    assert_int_equal(transfer_look(replica_in(l)), TRANSFER_DONE);
    assert_string_equal(text_str(&got), "$12\r\nREDIS0011...");
    text_release(&got);
    goes(l);
    transfer_unref(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOPBACK_TEST(replicas_of_different_speed_get_the_same),
        LOOPBACK_TEST(filling_ends_when_the_last_replica_goes),
        LOOPBACK_TEST(a_transfer_that_failed_is_told),
        LOOPBACK_TEST(a_file_goes_with_its_length),
    };
    return cmocka_run_group_tests(tests, loopback_start, loopback_stop);
}
