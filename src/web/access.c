/* access.c: see access.h. Passwords are compared by their digests and in constant time, as for AUTH. */
#include "access.h"
#include "trivet/base/sha.h"
#include "trivet/engine/access/access_log.h"
#include "trivet/engine/access/permission.h"
#include "trivet/engine/access/users.h"
#include "trivet/engine/command/registry.h"
#include "trivet/engine/settings/options.h"
#include <openssl/crypto.h>

/* ---- what was sent ---- */

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters are three bytes; of the last four, "=" may stand for one or two that are missing. The bits
 * that are left over then must be zero: one text has one form. */
static bool decode_base64(struct slice text, struct buf *out) {
    if (text.len == 0 || text.len % 4 != 0) return false;
    for (size_t at = 0; at < text.len; at += 4) {
        const char *four = text.ptr + at;
        bool is_last = at + 4 == text.len;
        int pads = !is_last || four[3] != '=' ? 0 : four[2] == '=' ? 2 : 1;
        uint32_t bits = 0;
        for (int i = 0; i < 4 - pads; i++) {
            int digit = digit_of(four[i]);
            if (digit < 0) return false;
            bits |= (uint32_t)digit << (18 - 6 * i);
        }
        if (bits & ((1u << (8 * pads)) - 1)) return false;
        for (int i = 0; i < 3 - pads; i++) buf_append_byte(out, (char)(bits >> (16 - 8 * i)));
    }
    return true;
}

bool credentials_read(struct slice field, struct credentials *out) {
    static const struct slice scheme = LIT_INIT("Basic ");
    *out = (struct credentials){ 0 };
    if (field.len < scheme.len || strncasecmp(field.ptr, scheme.ptr, scheme.len) != 0) return false;
    field = slice_from(field, scheme.len);
    while (field.len > 0 && field.ptr[0] == ' ') field = slice_from(field, 1);
    bool decoded = decode_base64(field, &out->text);
    const char *colon = decoded ? memchr(out->text.ptr, ':', out->text.len) : NULL;
    out->are_there = colon != NULL;
    if (colon)
        out->name_len = (size_t)(colon - out->text.ptr);
    else
        credentials_release(out);
    return colon != NULL;
}

struct slice credentials_name(const struct credentials *c) {
    return slice_make(c->text.ptr, c->name_len);
}

struct slice credentials_password(const struct credentials *c) {
    return slice_from(buf_slice(&c->text), c->name_len + 1);
}

void credentials_release(struct credentials *c) {
    if (c->text.ptr) OPENSSL_cleanse(c->text.ptr, c->text.room);
    buf_release(&c->text);
    *c = (struct credentials){ 0 };
}

/* ---- is it right ---- */

static bool same_secret(struct slice a, struct slice b) {
    uint8_t left[SHA256_SIZE], right[SHA256_SIZE];
    sha256(a, left);
    sha256(b, right);
    return CRYPTO_memcmp(left, right, SHA256_SIZE) == 0;
}

/* In ACL LOG, as a command of a connection would be. */
static void note(enum access_reason reason, struct slice object, struct slice name, const char *peer,
                 int64_t now_ms) {
    struct buf client = { 0 };
    buf_printf(&client, "addr=%s name=metrics user=%.*s", peer, SLICE_ARG(name));
    access_log_note(&(struct access_event){ .reason = reason,
                                            .context = ACCESS_TOPLEVEL,
                                            .object = object,
                                            .username = name,
                                            .client = buf_slice(&client),
                                            .now_ms = now_ms });
    buf_release(&client);
}

static bool may_run_info(const struct user *u) {
    const struct slice argv[] = { LIT_INIT("INFO") };
    const struct command *info = registry_find_declared(LIT("info"));
    return info && permission_for_command(u, info, argv, 1);
}

static struct slice name_of(const struct credentials *c) {
    struct slice name = credentials_name(c);
    return name.len > 0 ? name : LIT(USER_DEFAULT);
}

/* metrics-password-file: whatever the name. */
static bool password_is_right(const struct credentials *c) {
    return same_secret(credentials_password(c), slice_of(options.metrics_password));
}

static enum admission ask_users(const struct credentials *c, bool is_local, struct slice name) {
    const struct user *u = c->are_there              ? users_authenticate(name, credentials_password(c))
                           : users_admit_strangers() ? user_default
                                                     : NULL;
    if (!u) return c->are_there ? ADMISSION_WRONG : ADMISSION_UNKNOWN;
    if (!may_run_info(u)) return c->are_there ? ADMISSION_DENIED : ADMISSION_UNKNOWN;
    return u->needs_no_password && options.protected_mode && !is_local ? ADMISSION_PROTECTED : ADMITTED;
}

static enum admission ask(const struct credentials *c, bool is_local, struct slice name) {
    if (!options.metrics_password[0]) return ask_users(c, is_local, name);
    if (!c->are_there) return ADMISSION_UNKNOWN;
    return password_is_right(c) ? ADMITTED : ADMISSION_WRONG;
}

enum admission admission_ask(const struct credentials *c, const char *peer, bool is_local, int64_t now_ms) {
    struct slice name = c->are_there ? name_of(c) : LIT(USER_DEFAULT);
    enum admission a = ask(c, is_local, name);
    if (a == ADMISSION_WRONG) note(ACCESS_LOGIN, LIT("Authorization"), name, peer, now_ms);
    if (a == ADMISSION_DENIED) note(ACCESS_COMMAND, LIT("info"), name, peer, now_ms);
    return a;
}
