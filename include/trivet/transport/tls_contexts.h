/* tls_contexts.h: certificates, keys and rules of TLS: what all connections of the server share.
 *
 * They are built from plain settings, checked, and only then put in place of the ones in use. A connection
 * keeps what it began with until it ends, so none is dropped by a change.
 *
 * Thread: any; what is in use is guarded by a lock of its own. Errors: a sentence in `error`; what was in use
 * stays then. */
#ifndef TRIVET_TRANSPORT_TLS_CONTEXTS_H
#define TRIVET_TRANSPORT_TLS_CONTEXTS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

/* Do clients show a certificate? */
enum tls_clients { TLS_CLIENTS_NO, TLS_CLIENTS_YES, TLS_CLIENTS_OPTIONAL };

/* Texts are borrowed and never NULL; "" is not given. */
struct tls_settings {
    const char *cert_file, *key_file, *key_file_pass;
    const char *client_cert_file, *client_key_file, *client_key_file_pass; /* "": those above */
    const char *ca_cert_file, *ca_cert_dir;
    const char *dh_params_file;
    const char *protocols;    /* words, like "TLSv1.2 TLSv1.3"; "": these two */
    const char *ciphers;      /* of TLS 1.2 and before, in OpenSSL's words */
    const char *ciphersuites; /* of TLS 1.3 */
    enum tls_clients clients;
    bool links; /* outgoing links use TLS: then the other side's certificate is checked, which takes a CA */
    bool verify_host; /* their certificate must be for the host that was asked for */
    /* Nobody connects here: a program that only opens links. It may do without a certificate, and trusts the
     * system's authorities if none are named. */
    bool only_links;
    bool trust_anybody; /* links do not check the other side's certificate at all */
    bool prefer_server_ciphers;
    bool session_caching; /* no: no session is resumed */
    int64_t session_cache_size, session_cache_timeout_s;
};

struct tls_contexts;

/* Reads and checks everything. NULL with the reason in `error`. */
MUST_CHECK struct tls_contexts *tls_contexts_build(const struct tls_settings *s, struct buf *error);
void tls_contexts_free(struct tls_contexts *c);

/* Puts them in use and owns them from then on. */
void tls_contexts_install_take(struct tls_contexts *c);
/* The same, and true, if nothing was installed since tls_contexts_generation() gave `generation`. If
 * something was, they are freed. */
bool tls_contexts_renew_take(struct tls_contexts *c, uint64_t generation);
uint64_t tls_contexts_generation(void);
/* Forgets what is in use: at the end. */
void tls_contexts_release(void);

/* A number that changes when one of the files does; 0 is no such number. It looks at sizes, times and inodes,
 * and not at contents. */
uint64_t tls_files_look(const struct tls_settings *s);
/* What tls_files_look() said just before the files were read that are in use now; 0 if none are. */
uint64_t tls_files_used(void);

/* The certificates in use, for INFO. `serial` is "none" if there is none. */
struct tls_certificate {
    char serial[64];
    int64_t expires_s; /* by the wall clock; 0 if there is none */
};
struct tls_certificates {
    struct tls_certificate server, client, ca; /* of a CA bundle, the one that expires first */
};
void tls_certificates_describe(struct tls_certificates *out);

#endif
