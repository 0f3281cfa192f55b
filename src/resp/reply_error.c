/* reply_error.c: errors. An error is one line: its first word is the code that clients match. */
#include "chunk.h"
#include "trivet/base/buf.h"

static const struct slice texts[ERR_COUNT] = {
    [ERR_SYNTAX] = LIT_INIT("ERR syntax error"),
    [ERR_NOT_INT] = LIT_INIT("ERR value is not an integer or out of range"),
    [ERR_NOT_FLOAT] = LIT_INIT("ERR value is not a valid float"),
    [ERR_OUT_OF_RANGE] = LIT_INIT("ERR value is out of range"),
    [ERR_WRONGTYPE] = LIT_INIT("WRONGTYPE Operation against a key holding the wrong kind of value"),
    [ERR_NO_KEY] = LIT_INIT("ERR no such key"),
    [ERR_SAME_OBJECT] = LIT_INIT("ERR source and destination objects are the same"),
    [ERR_DB_RANGE] = LIT_INIT("ERR DB index is out of range"),
    [ERR_NOT_POSITIVE] = LIT_INIT("ERR value is out of range, must be positive"),
    [ERR_NOAUTH] = LIT_INIT("NOAUTH Authentication required."),
    [ERR_LOADING] = LIT_INIT("LOADING Redis is loading the dataset in memory"),
    [ERR_OOM] = LIT_INIT("OOM command not allowed when used memory > 'maxmemory'."),
    [ERR_EXECABORT] = LIT_INIT("EXECABORT Transaction discarded because of previous errors."),
    [ERR_NOT_BIT] = LIT_INIT("ERR bit is not an integer or out of range"),
    [ERR_OVERFLOW] = LIT_INIT("ERR increment or decrement would overflow"),
    [ERR_NAN] = LIT_INIT("ERR increment would produce NaN or Infinity"),
    [ERR_INDEX] = LIT_INIT("ERR index out of range"),
    [ERR_TIMEOUT_NEGATIVE] = LIT_INIT("ERR timeout is negative"),
    [ERR_CURSOR] = LIT_INIT("ERR invalid cursor"),
    [ERR_TOO_LONG] = LIT_INIT("ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
};

static bool is_line_end(char c) { return c == '\r' || c == '\n'; }

static void note_failure(struct reply *r, struct slice text) {
    size_t length = 0;
    while (length < text.len && text.ptr[length] != ' ' && length < sizeof r->error_code - 1) length++;
    if (length > 0) memcpy(r->error_code, text.ptr, length);
    r->error_code[length] = '\0';
    r->failed = true;
}

void reply_error_text(struct reply *r, struct slice text) {
    while (text.len > 0 && is_line_end(text.ptr[text.len - 1])) text.len--;
    note_failure(r, text);
    if (UNLIKELY(r->error_text != NULL)) buf_append(r->error_text, text);
    char *out = reply_space(r, text.len + 3);
    if (!out) return;
    *out++ = '-';
    for (size_t i = 0; i < text.len; i++) *out++ = is_line_end(text.ptr[i]) ? ' ' : text.ptr[i];
    *out++ = '\r';
    *out++ = '\n';
    reply_wrote(r, out);
}

struct slice error_text(enum error e) {
    assert((unsigned)e < ERR_COUNT);
    return texts[e];
}

void reply_error(struct reply *r, enum error e) { reply_error_text(r, error_text(e)); }

void reply_error_printf(struct reply *r, const char *format, ...) {
    struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    reply_error_text(r, buf_slice(&text));
    buf_release(&text);
}
