/* request.c: see request.h. Grammar: RFC 9112; a line may end with a bare line feed, as the RFC permits. */
#include "request.h"
#include <ctype.h>

/* What is being read: the request so far, and which fields came. */
struct reading {
    struct http_request *out;
    struct http_refusal *refusal;
    int minor; /* of the version */
    size_t hosts;
    bool says_close, says_keep_alive;
};

static bool refuse(struct reading *r, int status, const char *why) {
    *r->refusal = (struct http_refusal){ status, why };
    return false;
}

static bool is_token_char(char c) {
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.ptr[i])) return false;
    return s.len > 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static struct slice trimmed(struct slice s) {
    while (s.len > 0 && is_blank(s.ptr[0])) s = slice_from(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

/* What comes before the first `mark`, or all; *rest is what comes after it. */
static struct slice cut_at(struct slice s, char mark, struct slice *rest) {
    const char *at = s.len > 0 ? memchr(s.ptr, mark, s.len) : NULL;
    *rest = at ? slice_between(at + 1, s.ptr + s.len) : slice_make(s.ptr + s.len, 0);
    return at ? slice_between(s.ptr, at) : s;
}

/* ---- the first line ---- */

static bool has_only_visible(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 127) return false;
    return s.len > 0;
}

/* "/path?query", or the same behind "http://host", as proxies are asked. */
static bool read_target(struct reading *r, struct slice target) {
    if (target.len > 7 && strncasecmp(target.ptr, "http://", 7) == 0) {
        struct slice behind = slice_from(target, 7);
        const char *slash = memchr(behind.ptr, '/', behind.len);
        target = slash ? slice_between(slash, target.ptr + target.len) : LIT("/");
    }
    if (!has_only_visible(target) || target.ptr[0] != '/')
        return refuse(r, 400, "The request's target is not a path.");
    struct slice fragment;
    r->out->path = cut_at(cut_at(target, '#', &fragment), '?', &r->out->query);
    return true;
}

static bool read_first_line(struct reading *r, struct slice line) {
    struct slice rest, version;
    struct slice method = cut_at(line, ' ', &rest), target = cut_at(rest, ' ', &version);
    if (!is_token(method)) return refuse(r, 400, "The request does not begin with a method.");
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0)
        return refuse(r, 400, "The request's first line is not of HTTP/1.");
    if (memcmp(version.ptr, "HTTP/1.", 7) != 0 || (version.ptr[7] != '0' && version.ptr[7] != '1'))
        return refuse(r, 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
    r->minor = version.ptr[7] - '0';
    r->out->is_head = slice_equal(method, LIT("HEAD"));
    if (!r->out->is_head && !slice_equal(method, LIT("GET")))
        return refuse(r, 405, "Only GET and HEAD are answered here.");
    return read_target(r, target);
}

/* ---- fields ---- */

static bool read_length(struct reading *r, struct slice value) {
    bool is_zero = value.len > 0;
    for (size_t i = 0; i < value.len; i++) {
        if (!isdigit((unsigned char)value.ptr[i])) return refuse(r, 400, "Content-Length is not a number.");
        is_zero &= value.ptr[i] == '0';
    }
    return is_zero || refuse(r, 413, "Requests must not have a body.");
}

static void read_connection(struct reading *r, struct slice value) {
    while (value.len > 0) {
        struct slice word = trimmed(cut_at(value, ',', &value));
        r->says_close |= slice_equal_nocase(word, LIT("close"));
        r->says_keep_alive |= slice_equal_nocase(word, LIT("keep-alive"));
    }
}

static bool read_field(struct reading *r, struct slice name, struct slice value) {
    if (slice_equal_nocase(name, LIT("Host"))) {
        r->hosts++;
    } else if (slice_equal_nocase(name, LIT("Content-Length"))) {
        return read_length(r, value);
    } else if (slice_equal_nocase(name, LIT("Transfer-Encoding"))) {
        return refuse(r, 413, "Requests must not have a body.");
    } else if (slice_equal_nocase(name, LIT("Connection"))) {
        read_connection(r, value);
    } else if (slice_equal_nocase(name, LIT("Authorization"))) {
        if (r->out->authorization.len > 0) return refuse(r, 400, "There are two Authorization fields.");
        r->out->authorization = value;
    }
    return true;
}

static bool has_control(struct slice s) {
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\t') || s.ptr[i] == 127) return true;
    return false;
}

static bool read_field_line(struct reading *r, struct slice line) {
    struct slice value;
    struct slice name = cut_at(line, ':', &value);
    if (name.len == line.len || !is_token(name) || has_control(value))
        return refuse(r, 400, "A header field is malformed.");
    return read_field(r, name, trimmed(value));
}

/* ---- all of it ---- */

/* The next line without its end; false if there is no whole one. */
static bool next_line(struct slice *rest, struct slice *line) {
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!end) return false;
    *line = slice_between(rest->ptr, end);
    *rest = slice_between(end + 1, rest->ptr + rest->len);
    if (line->len > 0 && line->ptr[line->len - 1] == '\r') line->len--;
    return true;
}

/* Up to the empty line behind the fields; false if that is not there yet. Empty lines before the first one
 * are skipped. */
static bool find_head(struct slice bytes, struct slice *head, size_t *used) {
    struct slice rest = bytes, line;
    while (rest.len > 0 && (rest.ptr[0] == '\r' || rest.ptr[0] == '\n')) rest = slice_from(rest, 1);
    const char *begin = rest.ptr;
    while (next_line(&rest, &line)) {
        if (line.len > 0) continue;
        *head = slice_between(begin, line.ptr);
        *used = (size_t)(rest.ptr - bytes.ptr);
        return true;
    }
    return false;
}

static bool read_head(struct reading *r, struct slice head) {
    struct slice line;
    if (!next_line(&head, &line)) return refuse(r, 400, "The request is empty.");
    if (!read_first_line(r, line)) return false;
    while (next_line(&head, &line))
        if (!read_field_line(r, line)) return false;
    if (r->minor == 1 && r->hosts != 1) return refuse(r, 400, "There must be one Host field.");
    r->out->keep_alive = !r->says_close && (r->minor == 1 || r->says_keep_alive);
    return true;
}

enum http_parsed http_request_parse(struct slice bytes, struct http_request *out,
                                    struct http_refusal *refusal) {
    struct slice head;
    *out = (struct http_request){ 0 };
    struct reading r = { .out = out, .refusal = refusal };
    bool is_whole = find_head(bytes, &head, &out->used);
    if (is_whole ? out->used > HTTP_HEAD_MAX : bytes.len >= HTTP_HEAD_MAX) {
        refuse(&r, 431, "The request's header is too long.");
        return HTTP_BAD;
    }
    if (!is_whole) return HTTP_MORE;
    return read_head(&r, head) ? HTTP_READY : HTTP_BAD;
}

bool http_query_has(struct slice query, struct slice assignment) {
    while (query.len > 0)
        if (slice_equal(cut_at(query, '&', &query), assignment)) return true;
    return false;
}
