/* tls.h: certificates made at run time, and clients that speak TLS.
 *
 * Files lie in a folder of this test program, which is removed at its end: NAME.crt and NAME.key. What goes
 * wrong here fails the running test. */
#ifndef TESTS_HARNESS_TLS_H
#define TESTS_HARNESS_TLS_H

#include "client.h"
#include <openssl/ssl.h>

struct tls_wish {
    const char *name;      /* of the files */
    const char *issuer;    /* name of an authority made before; NULL: it is one itself */
    const char *cn;        /* the common name; NULL: the name of the files */
    const char *alt_names; /* "DNS:localhost,IP:127.0.0.1,URI:spiffe://x/alice"; NULL: none */
    const char *pass;      /* the key's passphrase; NULL: none */
    int begins_in_days;    /* from now, may be negative */
    int days;              /* how long it is valid; 0: 30 */
};
void tls_make(const struct tls_wish *wish);
/* The usual ones: "ca", "server" for localhost and 127.0.0.1, "client" with CN alice; all by "ca". */
void tls_make_usual(void);

/* The path of a file there, such as "ca.crt"; valid until the program ends. */
const char *tls_path(const char *file);
/* Gives the first file the contents of the second, in one step as rotations do it. */
void tls_replace(const char *file, const char *by);

/* Rules of a client that trusts `ca`, and shows the certificate `name` unless that is NULL. The caller frees
 * them with SSL_CTX_free. */
SSL_CTX *tls_rules(const char *ca, const char *name);
SSL_CTX *tls_usual_rules(void); /* "ca", "client" */

/* A connection to a port of this machine. NULL if the handshake failed; tls_failure() says why. With TLS 1.3
 * a server that refuses the client's certificate says so only after it. */
struct client *client_open_tls(int port, SSL_CTX *rules);
const char *tls_failure(void);
SSL *client_ssl(struct client *c);

#endif
