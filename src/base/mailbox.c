/* mailbox.c: a Treiber stack of letters. The owner takes the whole stack at once, so there is no ABA problem.
 * Then it turns the stack over to get the order of posting.
 *
 * No wake-up is lost. The poster that finds the box empty writes the eventfd after its letter is in. The
 * owner empties the eventfd before it takes the letters. A wake-up too many only finds an empty box. */
#include "trivet/base/mailbox.h"
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool mailbox_init(struct mailbox *box) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return false;
    box->wake_fd = fd;
    atomic_init(&box->newest, NULL);
    return true;
}

void mailbox_release(struct mailbox *box) {
    close(box->wake_fd);
    box->wake_fd = -1;
}

static void wake_owner(struct mailbox *box) {
    const uint64_t one = 1;
    ssize_t wrote;
    do wrote = write(box->wake_fd, &one, sizeof one);
    while (wrote < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the owner is awake anyway. */
    assert(wrote == sizeof one || errno == EAGAIN);
}

/* True if the box was empty. */
static bool push_letter(struct mailbox *box, struct letter *letter) {
    struct letter *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do letter->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, letter, memory_order_release,
                                                  memory_order_relaxed));
    /* The letter belongs to the owner now and may have been freed already. */
    return !newest;
}

void mailbox_post(struct mailbox *box, struct letter *letter) {
    if (push_letter(box, letter)) wake_owner(box);
}

void mailbox_post_quietly(struct mailbox *box, struct letter *letter) { push_letter(box, letter); }

static struct letter *turned_over(struct letter *newest) {
    struct letter *oldest = NULL;
    while (newest) {
        struct letter *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

size_t mailbox_drain(struct mailbox *box) {
    uint64_t wakes;
    ssize_t got;
    do got = read(box->wake_fd, &wakes, sizeof wakes);
    while (got < 0 && errno == EINTR);
    assert(got == sizeof wakes || errno == EAGAIN);

    size_t count = 0;
    struct letter *letter = turned_over(atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire));
    while (letter) {
        struct letter *next = letter->next; /* before run: it frees the letter */
        letter->run(letter);
        letter = next;
        count++;
    }
    return count;
}
