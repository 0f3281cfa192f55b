/* tls.c: certificates by libcrypto, and the handshake of a test's client. */
#include "tls.h"
#include "fail.h"
#include <errno.h>
#include <ftw.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the folder ---- */

static char folder[64];

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

static pid_t folder_owner;

static void remove_folder(void) {
    if (getpid() == folder_owner) nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *tls_path(const char *file) {
    static char paths[64][160];
    static size_t count;
    if (!folder[0]) {
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof(folder), "%s/trivet-certs-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
        if (!mkdtemp(folder)) HARNESS_FAIL("cannot make %s: %s", folder, strerror(errno));
        folder_owner = getpid();
        atexit(remove_folder);
    }
    char path[sizeof paths[0]];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    for (size_t i = 0; i < count; i++)
        if (strcmp(paths[i], path) == 0) return paths[i];
    if (count == COUNT_OF(paths)) HARNESS_FAIL("too many files");
    return strcpy(paths[count++], path);
}

static const char *path_of(const char *name, const char *ending) {
    char file[64];
    snprintf(file, sizeof file, "%s%s", name, ending);
    return tls_path(file);
}

void tls_replace(const char *file, const char *by) {
    char bytes[16384];
    FILE *from = fopen(tls_path(by), "r"), *to = fopen(path_of(file, ".new"), "w");
    size_t len = from ? fread(bytes, 1, sizeof bytes, from) : 0;
    bool written = to && fwrite(bytes, 1, len, to) == len;
    if (from) fclose(from);
    if (to) written &= fclose(to) == 0;
    if (!from || !written || rename(path_of(file, ".new"), tls_path(file)) != 0)
        HARNESS_FAIL("cannot replace %s by %s: %s", file, by, strerror(errno));
}

/* ---- certificates ---- */

NORETURN static void fail(const char *what) {
    char words[160];
    ERR_error_string_n(ERR_get_error(), words, sizeof words);
    HARNESS_FAIL("%s: %s", what, words);
}

static void write_key(const struct tls_wish *wish, EVP_PKEY *key) {
    FILE *file = fopen(path_of(wish->name, ".key"), "w");
    const EVP_CIPHER *cipher = wish->pass ? EVP_aes_256_cbc() : NULL;
    int len = wish->pass ? (int)strlen(wish->pass) : 0;
    if (!file ||
        !PEM_write_PrivateKey(file, key, cipher, (const unsigned char *)wish->pass, len, NULL, NULL) ||
        fclose(file) != 0 || chmod(path_of(wish->name, ".key"), 0600) != 0)
        fail("cannot write a key");
}

static X509 *read_cert(const char *name) {
    FILE *file = fopen(path_of(name, ".crt"), "r");
    X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (!cert) fail("cannot read a certificate");
    fclose(file);
    return cert;
}

static EVP_PKEY *read_key(const char *name) {
    FILE *file = fopen(path_of(name, ".key"), "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (!key) fail("cannot read a key");
    fclose(file);
    return key;
}

static void add_extension(X509 *cert, int nid, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    if (!extension || !X509_add_ext(cert, extension, -1)) fail("cannot add an extension");
    X509_EXTENSION_free(extension);
}

static void fill_cert(X509 *cert, const struct tls_wish *wish, EVP_PKEY *key) {
    static long serial = 1000;
    const char *cn = wish->cn ? wish->cn : wish->name;
    long begins = wish->begins_in_days * 86400L - 60, days = wish->days ? wish->days : 30;
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), begins);
    X509_gmtime_adj(X509_getm_notAfter(cert), begins + days * 86400L);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)cn,
                               -1, -1, 0);
    if (!wish->issuer) add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    if (wish->alt_names) add_extension(cert, NID_subject_alt_name, wish->alt_names);
}

void tls_make(const struct tls_wish *wish) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    if (!key || !cert) fail("cannot make a key");
    fill_cert(cert, wish, key);
    X509 *issuer = wish->issuer ? read_cert(wish->issuer) : NULL;
    EVP_PKEY *issuer_key = wish->issuer ? read_key(wish->issuer) : NULL;
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    if (!X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256())) fail("cannot sign a certificate");
    FILE *file = fopen(path_of(wish->name, ".crt"), "w");
    if (!file || !PEM_write_X509(file, cert) || fclose(file) != 0) fail("cannot write a certificate");
    write_key(wish, key);
    X509_free(issuer);
    EVP_PKEY_free(issuer_key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void tls_make_usual(void) {
    tls_make(&(struct tls_wish){ .name = "ca" });
    tls_make(
        &(struct tls_wish){ .name = "server", .issuer = "ca", .alt_names = "DNS:localhost,IP:127.0.0.1" });
    tls_make(&(struct tls_wish){
        .name = "client", .issuer = "ca", .cn = "alice", .alt_names = "URI:spiffe://test/alice" });
}

/* ---- clients ---- */

static char failure[256];

const char *tls_failure(void) { return failure; }

SSL_CTX *tls_rules(const char *ca, const char *name) {
    SSL_CTX *rules = SSL_CTX_new(TLS_client_method());
    if (!rules || !SSL_CTX_load_verify_locations(rules, path_of(ca, ".crt"), NULL)) fail("cannot trust a CA");
    if (name && (SSL_CTX_use_certificate_file(rules, path_of(name, ".crt"), SSL_FILETYPE_PEM) != 1 ||
                 SSL_CTX_use_PrivateKey_file(rules, path_of(name, ".key"), SSL_FILETYPE_PEM) != 1))
        fail("cannot use a certificate");
    SSL_CTX_set_verify(rules, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(rules, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(rules, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return rules;
}

SSL_CTX *tls_usual_rules(void) { return tls_rules("ca", "client"); }

struct client *client_open_tls(int port, SSL_CTX *rules) {
    struct client *c = client_open_tcp("127.0.0.1", port);
    if (!c) HARNESS_FAIL("cannot connect to port %d: %s", port, strerror(errno));
    ERR_clear_error();
    int error = client_start_tls(c, rules, NULL);
    if (error == SSL_ERROR_NONE) return c;
    unsigned long code = ERR_get_error();
    snprintf(failure, sizeof failure, "error %d", error);
    if (code) ERR_error_string_n(code, failure, sizeof failure);
    client_close(c);
    return NULL;
}
