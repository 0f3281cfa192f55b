/* tls_contexts.c: see tls_contexts.h. Two contexts are made of one set of settings: for clients that connect
 * here, and for links that go out. They differ in the certificate, and in whose certificate is asked for. */
#include "trivet/transport/tls_contexts.h"
#include "tls_private.h"
#include "trivet/base/file.h"
#include "trivet/base/lock.h"
#include "trivet/base/mem.h"
#include "trivet/base/slice.h"
#include <ctype.h>
#include <errno.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define SESSION_CONTEXT "trivet"
#define OUR_PROTOCOLS (SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1)
#define ALL_PROTOCOLS (OUR_PROTOCOLS | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3)

struct tls_contexts {
    SSL_CTX *server; /* NULL if there are only links */
    SSL_CTX *links;  /* NULL if there is neither a certificate nor a CA for them */
    bool verify_host;
    uint64_t files; /* tls_files_look() before they were read */
    struct tls_certificates certificates;
};

static struct lock lock = LOCK_INIT(LOCK_RANK_LEAF);
static struct tls_contexts *in_use; /* under the lock, like the number */
static uint64_t generation;

/* ---- errors ---- */

/* "Failed to <what>: <where>: <OpenSSL's words>". Always false, for `return`. */
static bool fail(struct buf *error, const char *what, const char *where) {
    char words[160] = "unknown error";
    unsigned long code = ERR_peek_last_error();
    if (code) ERR_error_string_n(code, words, sizeof words);
    buf_printf(error, "Failed to %s: %s%s%s", what, where, where[0] ? ": " : "", words);
    ERR_clear_error();
    return false;
}

static bool refuse(struct buf *error, const char *what) {
    buf_append(error, slice_of(what));
    return false;
}

/* ---- certificate and key ---- */

struct pair {
    const char *cert_file, *key_file, *pass;
};

/* OpenSSL asks here for the key's passphrase; its own way would be to ask on the terminal. */
static int give_pass(char *out, int size, int writing, void *arg) {
    (void)writing;
    const char *pass = arg;
    size_t len = strlen(pass);
    if (len > (size_t)size) return -1;
    memcpy(out, pass, len);
    return (int)len;
}

static bool is_in_time(SSL_CTX *ctx, const struct pair *p, struct buf *error) {
    const X509 *cert = SSL_CTX_get0_certificate(ctx);
    if (!cert) return fail(error, "load certificate", p->cert_file);
    const char *what = NULL;
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) what = "has expired";
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) what = "is not valid yet";
    if (!what) return true;
    buf_printf(error, "Failed to load certificate: %s: it %s", p->cert_file, what);
    return false;
}

static bool load_pair(SSL_CTX *ctx, const struct pair *p, struct buf *error) {
    SSL_CTX_set_default_passwd_cb(ctx, give_pass);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, unconst(p->pass));
    bool loaded = false;
    if (SSL_CTX_use_certificate_chain_file(ctx, p->cert_file) <= 0)
        fail(error, "load certificate", p->cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx, p->key_file, SSL_FILETYPE_PEM) <= 0)
        fail(error, "load private key", p->key_file);
    else if (SSL_CTX_check_private_key(ctx) <= 0)
        fail(error, "use this private key with the certificate", p->key_file);
    else
        loaded = is_in_time(ctx, p, error);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL); /* it is borrowed */
    return loaded;
}

/* ---- certificates of others ---- */

/* A missing folder would go unnoticed: OpenSSL looks into it only when it needs a certificate. */
static bool is_folder(const char *path, struct buf *error) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
    buf_printf(error, "Failed to configure CA certificate(s) file/directory: %s: no such folder", path);
    return false;
}

static bool load_authorities(SSL_CTX *ctx, const struct tls_settings *s, struct buf *error) {
    const char *file = s->ca_cert_file[0] ? s->ca_cert_file : NULL;
    const char *folder = s->ca_cert_dir[0] ? s->ca_cert_dir : NULL;
    if (!file && !folder)
        return !s->only_links || SSL_CTX_set_default_verify_paths(ctx) ||
               fail(error, "configure the system's CA certificates", "");
    if (folder && !is_folder(folder, error)) return false;
    return SSL_CTX_load_verify_locations(ctx, file, folder) > 0 ||
           fail(error, "configure CA certificate(s) file/directory", file ? file : folder);
}

static int verify_mode(const struct tls_settings *s, bool is_server) {
    if (!is_server && s->trust_anybody) return SSL_VERIFY_NONE;
    if (!is_server || s->clients == TLS_CLIENTS_YES) return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    return s->clients == TLS_CLIENTS_OPTIONAL ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
}

/* ---- protocols and ciphers ---- */

static bool read_protocol(struct slice word, uint64_t *off) {
    static const struct {
        struct slice name;
        uint64_t off;
    } known[] = {
        { LIT_INIT("TLSv1"), SSL_OP_NO_TLSv1 },
        { LIT_INIT("TLSv1.1"), SSL_OP_NO_TLSv1_1 },
        { LIT_INIT("TLSv1.2"), SSL_OP_NO_TLSv1_2 },
        { LIT_INIT("TLSv1.3"), SSL_OP_NO_TLSv1_3 },
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (!slice_equal_nocase(word, known[i].name)) continue;
        *off &= ~known[i].off;
        return true;
    }
    return false;
}

/* *off gets the options that forbid what the text does not name. */
static bool read_protocols(const char *text, uint64_t *off, struct buf *error) {
    *off = OUR_PROTOCOLS;
    bool known = true, any = false;
    for (const char *at = text; known;) {
        while (isspace((unsigned char)*at)) at++;
        const char *begin = at;
        while (*at && !isspace((unsigned char)*at)) at++;
        if (at == begin) break;
        if (!any) *off = ALL_PROTOCOLS;
        any = true;
        known = read_protocol(slice_between(begin, at), off);
    }
    return known || refuse(error, "Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and "
                                  "'TLSv1.3'.");
}

static bool set_ciphers(SSL_CTX *ctx, const struct tls_settings *s, struct buf *error) {
    if (s->ciphers[0] && !SSL_CTX_set_cipher_list(ctx, s->ciphers))
        return fail(error, "configure ciphers", s->ciphers);
    if (s->ciphersuites[0] && !SSL_CTX_set_ciphersuites(ctx, s->ciphersuites))
        return fail(error, "configure ciphersuites", s->ciphersuites);
    return true;
}

static bool set_dh_params(SSL_CTX *ctx, const char *path, struct buf *error) {
    if (!path[0]) return true;
    EVP_PKEY *params = NULL;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&params, "PEM", NULL, NULL, EVP_PKEY_KEY_PARAMETERS, NULL, NULL);
    FILE *file = fopen(path, "re");
    if (!file) {
        buf_printf(error, "Failed to load DH params file: %s: %s", path, file_errno_text(errno));
        OSSL_DECODER_CTX_free(decoder);
        return false;
    }
    bool read = decoder && OSSL_DECODER_from_fp(decoder, file);
    bool set = read && SSL_CTX_set0_tmp_dh_pkey(ctx, params);
    if (!set) {
        fail(error, "load DH params file", path);
        EVP_PKEY_free(params);
    }
    fclose(file);
    OSSL_DECODER_CTX_free(decoder);
    return set;
}

/* ---- sessions ---- */

/* They end with their context: what a certificate of before allowed is asked again after a change. */
static void set_sessions(SSL_CTX *ctx, const struct tls_settings *s) {
    SSL_CTX_set_session_id_context(ctx, (const void *)SESSION_CONTEXT, sizeof SESSION_CONTEXT - 1);
    if (!s->session_caching) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
        return;
    }
    SSL_CTX_set_num_tickets(ctx, 1); /* each resumption brings another one */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, s->session_cache_size);
    SSL_CTX_set_timeout(ctx, s->session_cache_timeout_s);
}

/* ---- a context ---- */

static bool fill_context(SSL_CTX *ctx, const struct tls_settings *s, const struct pair *p, bool is_server,
                         struct buf *error) {
    uint64_t off;
    if (!read_protocols(s->protocols, &off, error)) return false;
    SSL_CTX_set_options(ctx, off | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_SINGLE_DH_USE |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (s->prefer_server_ciphers) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, verify_mode(s, is_server), NULL);
    set_sessions(ctx, s);
    return (!p->cert_file[0] || load_pair(ctx, p, error)) && load_authorities(ctx, s, error) &&
           set_ciphers(ctx, s, error) && (!is_server || set_dh_params(ctx, s->dh_params_file, error));
}

static SSL_CTX *make_context(const struct tls_settings *s, const struct pair *p, bool is_server,
                             struct buf *error) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (ctx && fill_context(ctx, s, p, is_server, error)) return ctx;
    if (!ctx) fail(error, "make a TLS context", "");
    SSL_CTX_free(ctx);
    return NULL;
}

static struct pair pair_of_links(const struct tls_settings *s) {
    struct pair own = { s->client_cert_file, s->client_key_file, s->client_key_file_pass };
    struct pair server = { s->cert_file, s->key_file, s->key_file_pass };
    return s->client_cert_file[0] ? own : server;
}

static bool are_complete(const struct tls_settings *s, struct buf *error) {
    if (!s->cert_file[0]) return refuse(error, "No tls-cert-file configured!");
    if (!s->key_file[0]) return refuse(error, "No tls-key-file configured!");
    if (s->client_cert_file[0] && !s->client_key_file[0])
        return refuse(error, "tls-client-cert-file is configured, and no tls-client-key-file!");
    bool checks = s->links || s->clients != TLS_CLIENTS_NO;
    if (checks && !s->ca_cert_file[0] && !s->ca_cert_dir[0])
        return refuse(error, "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
                             "tls-replication or tls-auth-clients are enabled!");
    return true;
}

/* ---- facts for INFO ---- */

static void describe(const X509 *cert, struct tls_certificate *out) {
    *out = (struct tls_certificate){ .serial = "none" };
    if (!cert) return;
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    if (hex) snprintf(out->serial, sizeof out->serial, "%s", hex);
    OPENSSL_free(hex);
    BN_free(number);
    struct tm end;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end)) out->expires_s = timegm(&end);
}

static void describe_first_to_expire(SSL_CTX *ctx, struct tls_certificate *out) {
    describe(NULL, out);
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        struct tls_certificate one;
        if (!cert) continue;
        describe(cert, &one);
        if (out->expires_s == 0 || one.expires_s < out->expires_s) *out = one;
    }
}

static void describe_all(struct tls_contexts *c, const struct tls_settings *s) {
    if (!c->server) return;
    describe(SSL_CTX_get0_certificate(c->server), &c->certificates.server);
    describe(s->client_cert_file[0] ? SSL_CTX_get0_certificate(c->links) : NULL, &c->certificates.client);
    describe_first_to_expire(c->server, &c->certificates.ca);
}

void tls_certificates_describe(struct tls_certificates *out) {
    lock_take(&lock);
    if (in_use) {
        *out = in_use->certificates;
    } else {
        describe(NULL, &out->server);
        out->client = out->ca = out->server;
    }
    lock_drop(&lock);
}

/* ---- building and installing ---- */

struct tls_contexts *tls_contexts_build(const struct tls_settings *s, struct buf *error) {
    if (!s->only_links && !are_complete(s, error)) return NULL;
    struct tls_contexts *c = mem_alloc_zero(sizeof *c);
    struct pair server = { s->cert_file, s->key_file, s->key_file_pass }, links = pair_of_links(s);
    c->verify_host = s->verify_host;
    c->files = tls_files_look(s); /* before they are read: what changes meanwhile is seen by the next look */
    if (!s->only_links) c->server = make_context(s, &server, true, error);
    if (s->only_links || c->server) c->links = make_context(s, &links, false, error);
    if (c->links) {
        describe_all(c, s);
        return c;
    }
    tls_contexts_free(c);
    return NULL;
}

void tls_contexts_free(struct tls_contexts *c) {
    if (!c) return;
    SSL_CTX_free(c->server); /* connections have references of their own */
    SSL_CTX_free(c->links);
    mem_free(c);
}

static bool exchange(struct tls_contexts *c, bool any, uint64_t expected) {
    lock_take(&lock);
    bool fits = any || generation == expected;
    struct tls_contexts *old = fits ? in_use : c;
    if (fits) {
        in_use = c;
        generation++;
    }
    lock_drop(&lock);
    tls_contexts_free(old);
    return fits;
}

void tls_contexts_install_take(struct tls_contexts *c) { exchange(c, true, 0); }
bool tls_contexts_renew_take(struct tls_contexts *c, uint64_t expected) {
    return exchange(c, false, expected);
}
void tls_contexts_release(void) { exchange(NULL, true, 0); }

uint64_t tls_contexts_generation(void) {
    lock_take(&lock);
    uint64_t now = generation;
    lock_drop(&lock);
    return now;
}

SSL *tls_ssl_new(bool is_server) {
    lock_take(&lock);
    SSL_CTX *ctx = !in_use ? NULL : is_server ? in_use->server : in_use->links;
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    lock_drop(&lock);
    return ssl;
}

bool tls_links_verify_host(void) {
    lock_take(&lock);
    bool verify = in_use && in_use->verify_host;
    lock_drop(&lock);
    return verify;
}

/* ---- have files changed? ---- */

static uint64_t mix(uint64_t sum, uint64_t number) {
    sum = (sum ^ number) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 29;
}

static uint64_t look_at(uint64_t sum, const char *path) {
    struct stat st;
    if (!path[0]) return mix(sum, 1);
    if (stat(path, &st) != 0) return mix(sum, 2); /* the attempt to read it will say why */
    sum = mix(mix(sum, st.st_ino), (uint64_t)st.st_size);
    sum = mix(mix(sum, (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
    return mix(mix(sum, (uint64_t)st.st_ctim.tv_sec), (uint64_t)st.st_ctim.tv_nsec);
}

uint64_t tls_files_look(const struct tls_settings *s) {
    const char *const paths[] = { s->cert_file,    s->key_file,    s->client_cert_file, s->client_key_file,
                                  s->ca_cert_file, s->ca_cert_dir, s->dh_params_file };
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNT_OF(paths); i++) sum = look_at(sum, paths[i]);
    return sum ? sum : 1;
}

uint64_t tls_files_used(void) {
    lock_take(&lock);
    uint64_t files = in_use ? in_use->files : 0;
    lock_drop(&lock);
    return files;
}
