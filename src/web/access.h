/* access.h: who may see the metrics: HTTP basic authentication (RFC 7617) against metrics-password-file, or
 * against the server's users. */
#ifndef WEB_ACCESS_H
#define WEB_ACCESS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdint.h>

/* A name and a password as they were sent. */
struct credentials {
    struct buf text; /* owned: both of them */
    size_t name_len; /* of its first bytes; the password is behind the colon */
    bool are_there;
};
/* Reads the value of an Authorization field. False if it is not of this kind, or malformed; then nothing is
 * to be released. Pure. */
MUST_CHECK bool credentials_read(struct slice field, struct credentials *out);
struct slice credentials_name(const struct credentials *c);
struct slice credentials_password(const struct credentials *c);
/* Blots them out and frees them. */
void credentials_release(struct credentials *c);

enum admission {
    ADMITTED,
    ADMISSION_UNKNOWN,   /* nobody said who it is, and that is needed */
    ADMISSION_WRONG,     /* name or password are wrong; it is in ACL LOG */
    ADMISSION_DENIED,    /* the user may not run INFO; likewise */
    ADMISSION_PROTECTED, /* protected-mode: no password is needed, and it comes from another machine */
};
/* May this visitor see the metrics? Worker 0, gate held. */
enum admission admission_ask(const struct credentials *c, const char *peer, bool is_local, int64_t now_ms);

#endif
