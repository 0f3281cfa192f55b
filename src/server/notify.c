/* notify.c: messages to systemd; see notify.h. */
#include "notify.h"
#include "trivet/base/clock.h"
#include "trivet/base/log.h"
#include "trivet/base/watchdog.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/worker.h"
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define EXTENSION_S 120       /* what a start or an end asks for with each sign of life */
#define SIGN_EVERY_US 1000000 /* of those that work in progress gives, */
#define READY_STATUS "Ready to accept connections"
#define MESSAGE_MAX 256

enum phase { STARTING, SERVING, ENDING };
static _Atomic enum phase phase; /* STARTING until the first data is there */
static atomic_int_fast64_t next_sign_us;
static int64_t sign_every_us = SIGN_EVERY_US; /* constant once workers run */
static bool watched;                          /* so is this */

static bool is_asked_for(void) {
    return options.supervised == SUPERVISED_SYSTEMD || options.supervised == SUPERVISED_AUTO;
}

static void tell(const char *message) {
    if (!is_asked_for()) return;
    int result = sd_notify(0, message);
    if (result < 0) LOG_WARNING("Can't tell systemd '%s': %s", message, strerror(-result));
}

/* ---- signs of life ---- */

/* True for one caller in each interval. */
static bool sign_is_due(void) {
    int64_t now = clock_steady_us(), next = atomic_load_explicit(&next_sign_us, memory_order_relaxed);
    return now >= next && atomic_compare_exchange_strong(&next_sign_us, &next, now + sign_every_us);
}

/* Without an interval of systemd's its watchdog is off, and a server that serves needs no more time. */
static void put_sign(char *message, size_t room) {
    bool extends = atomic_load(&phase) != SERVING;
    snprintf(message, room, "%s", watched ? "WATCHDOG=1\n" : "");
    size_t len = strlen(message);
    if (extends) snprintf(message + len, room - len, "EXTEND_TIMEOUT_USEC=%d000000\n", EXTENSION_S);
}

static void send_sign(const char *status) {
    char message[MESSAGE_MAX];
    put_sign(message, sizeof message);
    size_t len = strlen(message);
    if (status) snprintf(message + len, sizeof message - len, "STATUS=%s\n", status);
    if (message[0]) tell(message);
}

static void touch(void) {
    if (is_asked_for() && sign_is_due()) send_sign(NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    (void)arg;
    tell("WATCHDOG=1");
}

/* The loop keeps the timer to its end, as it does those of signals. */
static bool start_timer(uint64_t every_us) {
    struct timeval every = { (time_t)(every_us / 1000000), (suseconds_t)(every_us % 1000000) };
    struct event *timer = event_new(worker_base(0), -1, EV_PERSIST, on_timer, NULL);
    if (timer && event_add(timer, &every) == 0) return true;
    LOG_WARNING("Error registering fd event for systemd's watchdog");
    return false;
}

bool notify_begin(void) {
    uint64_t interval_us = 0;
    if (!is_asked_for()) return true;
    int result = sd_watchdog_enabled(0, &interval_us);
    if (result < 0)
        LOG_WARNING("systemd's WATCHDOG_USEC or WATCHDOG_PID can't be understood: %s", strerror(-result));
    watched = result > 0;
    watchdog_hook = touch;
    if (!watched) return true;
    uint64_t every_us = interval_us / 4 + 1;
    if (every_us < SIGN_EVERY_US) sign_every_us = (int64_t)every_us;
    return start_timer(every_us);
}

/* ---- what it is doing ---- */

void notify_loading(const char *what, uint64_t loaded, uint64_t total) {
    char status[MESSAGE_MAX / 2];
    if (!is_asked_for() || !sign_is_due()) return;
    snprintf(status, sizeof status, "Loading the %s: %llu%% of %llu MB", what,
             (unsigned long long)(total ? loaded * 100 / total : 100), (unsigned long long)(total >> 20));
    send_sign(status);
}

void notify_loaded(void) {
    if (atomic_load(&phase) == SERVING) tell("STATUS=" READY_STATUS);
}

void notify_ready(void) {
    atomic_store(&phase, SERVING);
    tell("READY=1\nSTATUS=" READY_STATUS);
}

void notify_shutdown(const char *doing, int64_t at_most_s) {
    char message[MESSAGE_MAX];
    atomic_store(&phase, ENDING);
    snprintf(message, sizeof message, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%lld000000", doing,
             (long long)at_most_s + EXTENSION_S);
    tell(message);
}

void notify_goes_on(void) {
    atomic_store(&phase, SERVING);
    tell("STATUS=" READY_STATUS "; a shutdown was given up");
}

void notify_stopping(void) {
    char message[MESSAGE_MAX];
    atomic_store(&phase, ENDING);
    snprintf(message, sizeof message,
             "STOPPING=1\nSTATUS=Closing connections and files\n"
             "EXTEND_TIMEOUT_USEC=%d000000",
             EXTENSION_S);
    tell(message);
}
