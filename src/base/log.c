/* log.c: one line, one write(2).
 *
 * A line is built on the stack, so logging works even when no memory is left. Settings that may change at run
 * time are atomic, or guarded by a lock of the last rank, so a line may be written under any other lock. If
 * the log file can no longer be opened, the line goes to stderr. */
#include "trivet/base/log.h"
#include "trivet/base/clock.h"
#include "trivet/base/lock.h"
#include "trivet/base/slice.h"
#include "trivet/base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* Last: from here on LOG_DEBUG, LOG_NOTICE and LOG_WARNING are syslog's priorities, not our macros. */
#include <syslog.h>

static atomic_int lowest_level = LOG_LEVEL_NOTICE;
static atomic_int line_format = LOG_FORMAT_LEGACY;
static atomic_int time_form = LOG_TIMESTAMP_LEGACY;
static atomic_char role = 'M';
static atomic_bool syslog_on;
static atomic_long last_gmtoff; /* seconds east of Greenwich, as of the last line */

static struct lock settings_lock = LOCK_INIT(LOCK_RANK_LOG);
static char file_path[PATH_MAX]; /* under settings_lock; "" is stdout */
static char syslog_ident[128];   /* under settings_lock; syslog keeps the pointer */

void log_set_level(enum log_level level) { atomic_store(&lowest_level, level); }

void log_set_form(enum log_format format, enum log_timestamp timestamp) {
    atomic_store(&line_format, format);
    atomic_store(&time_form, timestamp);
}

void log_set_role(char new_role) { atomic_store(&role, new_role); }

bool log_wants(enum log_level level) {
    return (int)level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

static int open_log(const char *path) { return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644); }

bool log_set_file(const char *path) {
    size_t len = strlen(path);
    if (len >= sizeof file_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (len > 0) {
        int fd = open_log(path);
        if (fd < 0) return false;
        close(fd);
    }
    lock_take(&settings_lock);
    memcpy(file_path, path, len + 1);
    lock_drop(&settings_lock);
    return true;
}

void log_set_syslog(const char *ident, int facility) {
    lock_take(&settings_lock);
    closelog();
    if (ident) {
        snprintf(syslog_ident, sizeof syslog_ident, "%s", ident);
        openlog(syslog_ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility);
    }
    atomic_store(&syslog_on, ident != NULL);
    lock_drop(&settings_lock);
}

/* As localtime_r, with the offset of the last line: that function takes a lock, on which the thread that
 * writes a report of its crash might wait for ever. */
static void local_time_in_crash(int64_t seconds, struct tm *out) {
    int64_t local = seconds + atomic_load(&last_gmtoff), days = local / 86400, of_day = local % 86400;
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097; /* years begin in March */
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    *out = (struct tm){ .tm_mday = (int)(of_year - (153 * month + 2) / 5 + 1),
                        .tm_mon = (int)(month < 10 ? month + 2 : month - 10),
                        .tm_year = (int)(year + era * 400 + (month >= 10) - 1900),
                        .tm_hour = (int)(of_day / 3600),
                        .tm_min = (int)(of_day / 60 % 60),
                        .tm_sec = (int)(of_day % 60),
                        .tm_gmtoff = atomic_load(&last_gmtoff) };
}

static void local_time(int64_t seconds, bool in_crash, struct tm *out) {
    if (in_crash) {
        local_time_in_crash(seconds, out);
        return;
    }
    time_t t = (time_t)seconds;
    localtime_r(&t, out);
    atomic_store(&last_gmtoff, out->tm_gmtoff);
}

/* "22 Nov 2026 23:45:11.123", "2026-11-22T23:45:11.123+00:00" or milliseconds since 1970. */
static void format_time(char *out, size_t room, bool in_crash) {
    int64_t now_ms = clock_wall_ms();
    int milliseconds = (int)(now_ms % 1000);
    struct tm local;
    local_time(now_ms / 1000, in_crash, &local);
    switch ((enum log_timestamp)atomic_load(&time_form)) {
    case LOG_TIMESTAMP_MILLISECONDS: snprintf(out, room, "%lld", (long long)now_ms); return;
    case LOG_TIMESTAMP_LEGACY: {
        size_t len = strftime(out, room, "%d %b %Y %H:%M:%S.", &local);
        snprintf(out + len, room - len, "%03d", milliseconds);
        return;
    }
    case LOG_TIMESTAMP_ISO8601: {
        size_t len = strftime(out, room, "%Y-%m-%dT%H:%M:%S.", &local);
        long minutes = local.tm_gmtoff / 60;
        long ahead = minutes < 0 ? -minutes : minutes;
        snprintf(out + len, room - len, "%03d%c%02ld:%02ld", milliseconds, minutes < 0 ? '-' : '+',
                 ahead / 60, ahead % 60);
        return;
    }
    }
}

static const char *role_word(char letter) {
    switch (letter) {
    case 'S': return "replica";
    case 'X': return "sentinel";
    case 'C': return "RDB/AOF";
    default: return "primary";
    }
}

/* ---- the message, by format: each copies what fits and returns its length ---- */

static size_t copy_plain(char *out, size_t room, const char *message) {
    size_t len = strnlen(message, room);
    memcpy(out, message, len);
    return len;
}

/* Without the characters that would end the quoted value or the line early. */
static size_t copy_as_logfmt(char *out, size_t room, const char *message) {
    size_t len = copy_plain(out, room, message);
    for (size_t i = 0; i < len; i++) {
        if (out[i] == '"') out[i] = '\'';
        if (out[i] == '\n' || out[i] == '\r') out[i] = ' ';
    }
    return len;
}

/* One character as JSON writes it in a string; *taken is how many bytes of the message it was. A byte that is
 * no UTF-8 becomes U+FFFD, the character for that. */
static size_t json_piece(char piece[8], struct slice message, size_t *taken) {
    static const char codes[] = "\n\r\t\b\f\"\\", letters[] = "nrtbf\"\\";
    unsigned char c = (unsigned char)message.ptr[0];
    const char *code = strchr(codes, c);
    size_t len = utf8_length(message);
    *taken = len ? len : 1;
    if (code) return (size_t)snprintf(piece, 8, "\\%c", letters[code - codes]);
    if (len == 0) return (size_t)snprintf(piece, 8, "\\ufffd");
    if (c < 0x20 || c == 0x7f) return (size_t)snprintf(piece, 8, "\\u%04x", c);
    memcpy(piece, message.ptr, len);
    return len;
}

static size_t copy_as_json(char *out, size_t room, const char *message) {
    size_t len = 0;
    struct slice rest = slice_of(message);
    while (rest.len > 0) {
        char piece[8];
        size_t taken, more = json_piece(piece, rest, &taken);
        if (len + more > room) break;
        memcpy(out + len, piece, more);
        len += more;
        rest = slice_from(rest, taken);
    }
    return len;
}

/* ---- a line ---- */

/* What stands before the message and after it, by format. The head takes the pid, the role, the time and the
 * level. */
static const struct {
    const char *head, *tail;
} forms[] = {
    [LOG_FORMAT_LEGACY] = { NULL, "\n" },
    [LOG_FORMAT_LOGFMT] = { "pid=%d role=%s timestamp=\"%s\" level=%s message=\"", "\"\n" },
    [LOG_FORMAT_JSON] = { "{\"pid\":%d,\"role\":\"%s\",\"timestamp\":\"%s\",\"level\":\"%s\",\"message\":\"",
                          "\"}\n" },
};

/* Everything before the message; returns its length. */
static size_t format_head(char *out, enum log_format form, enum log_level level, bool in_crash) {
    static const char marks[] = ".-*#";
    static const char *const words[] = { "debug", "info", "notice", "warning" };
    char now[64];
    format_time(now, sizeof now, in_crash);
    int pid = (int)getpid();
    char letter = atomic_load(&role);
    int len = form == LOG_FORMAT_LEGACY
                  ? snprintf(out, LOG_LINE_MAX, "%d:%c %s %c ", pid, letter, now, marks[level])
                  : snprintf(out, LOG_LINE_MAX, forms[form].head, pid, role_word(letter), now, words[level]);
    assert(len > 0 && len < LOG_LINE_MAX);
    return (size_t)len;
}

/* A whole line with its newline, at most LOG_LINE_MAX bytes; returns its length. */
static size_t format_line(char out[LOG_LINE_MAX], enum log_level level, const char *message, bool in_crash) {
    enum log_format form = (enum log_format)atomic_load(&line_format);
    size_t tail_len = strlen(forms[form].tail);
    size_t len = format_head(out, form, level, in_crash);
    size_t room = LOG_LINE_MAX - len - tail_len;
    switch (form) {
    case LOG_FORMAT_LEGACY: len += copy_plain(out + len, room, message); break;
    case LOG_FORMAT_LOGFMT: len += copy_as_logfmt(out + len, room, message); break;
    case LOG_FORMAT_JSON: len += copy_as_json(out + len, room, message); break;
    }
    memcpy(out + len, forms[form].tail, tail_len);
    return len + tail_len;
}

/* If even this write fails, nothing more can be done. */
static bool write_line(int fd, const char *line, size_t len) {
    ssize_t wrote;
    do wrote = write(fd, line, len);
    while (wrote < 0 && errno == EINTR);
    return wrote == (ssize_t)len;
}

static void write_to_sink(const char *line, size_t len) {
    char path[PATH_MAX];
    lock_take(&settings_lock);
    memcpy(path, file_path, strlen(file_path) + 1);
    lock_drop(&settings_lock);
    int fd = path[0] ? open_log(path) : STDOUT_FILENO;
    if (fd < 0 || !write_line(fd, line, len)) write_line(STDERR_FILENO, line, len);
    if (path[0] && fd >= 0) close(fd);
}

static void write_to_syslog(enum log_level level, const char *message) {
    static const int priorities[] = { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING };
    lock_take(&settings_lock);
    syslog(priorities[level], "%s", message);
    lock_drop(&settings_lock);
}

void log_line(enum log_level level, const char *format, ...) {
    if (level >= LOG_LEVEL_NOTHING) return;
    int saved_errno = errno;
    char message[LOG_LINE_MAX], line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t len = format_line(line, level, message, false);
    write_to_sink(line, len);
    if (atomic_load(&syslog_on)) write_to_syslog(level, message);
    errno = saved_errno;
}

int log_crash_open(void) {
    int fd = file_path[0] ? open_log(file_path) : STDOUT_FILENO;
    return fd < 0 ? STDERR_FILENO : fd;
}

void log_crash_line(int fd, const char *format, ...) {
    char message[LOG_LINE_MAX], line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    write_line(fd, line, format_line(line, LOG_LEVEL_WARNING, message, true));
}
