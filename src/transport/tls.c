/* tls.c: see tls.h. OpenSSL gets its bytes by a BIO of ours, for three reasons: one recv(2) brings as many
 * records as there are, instead of two calls a record; the buffer for them belongs to the thread and not to
 * each connection; and errno stays what the system call left. */
#include "trivet/transport/tls.h"
#include "tls_private.h"
#include "trivet/base/buf.h"
#include "trivet/base/file.h"
#include "trivet/base/mem.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#define RECEIVE_SIZE (64 * 1024)
#define RECORD 16384 /* bytes of a record at most */
#define DIRECT 8192  /* a vector of at least this size goes out from where it is */

struct tls {
    SSL *ssl;
    int fd;
    bool at_end;      /* the other side will send nothing more */
    bool over;        /* a read found the end or an error behind bytes that it gave: the next one tells */
    int system_error; /* errno of the last recv(2) or send(2) that failed */
    bool drained;     /* the last recv(2) of this call took all that the system had */
    bool broken;      /* after an error of the protocol OpenSSL must not be asked to say farewell */
    bool connected;   /* the handshake is done */
    bool write_open;  /* a record is on its way; it must be offered again */
    bool in_use;      /* something was read or written since the last tls_rest */
    bool read_waits_to_write, write_waits_to_read;
    struct buf left; /* received and not looked at yet */
    char error[192];
};

/* One thread's. Between two calls of this file `receive` is empty. */
static _Thread_local struct {
    char *bytes; /* RECEIVE_SIZE */
    size_t at, end;
    char *record; /* RECORD: small vectors on their way out */
} mine;

/* ---- the BIO ---- */

static size_t take_received(char *out, size_t len) {
    size_t n = mine.end - mine.at < len ? mine.end - mine.at : len;
    memcpy(out, mine.bytes + mine.at, n);
    mine.at += n;
    return n;
}

/* What OpenSSL asks for goes where it wants it, what comes behind into the thread's buffer. */
static ssize_t receive(struct tls *t, char *out, size_t len) {
    struct iovec to[2] = { { out, len }, { mine.bytes, RECEIVE_SIZE } };
    ssize_t got = readv(t->fd, to, 2);
    if (got <= 0) return got;
    t->drained = (size_t)got < len + RECEIVE_SIZE;
    mine.at = 0;
    mine.end = (size_t)got > len ? (size_t)got - len : 0;
    return (size_t)got < len ? got : (ssize_t)len;
}

static int bio_read(BIO *b, char *out, size_t len, size_t *got) {
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (mine.at < mine.end) {
        *got = take_received(out, len);
        return 1;
    }
    ssize_t n = -1;
    errno = EAGAIN;
    if (!t->drained) n = receive(t, out, len);
    *got = n > 0 ? (size_t)n : 0;
    if (n == 0) t->at_end = true;
    if (n < 0) t->system_error = errno;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
    return n > 0;
}

static int bio_write(BIO *b, const char *bytes, size_t len, size_t *sent) {
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t n = send(t->fd, bytes, len, MSG_NOSIGNAL);
    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0) t->system_error = errno;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
    return n > 0;
}

static long bio_control(BIO *b, int command, long number, void *ptr) {
    (void)number;
    (void)ptr;
    struct tls *t = BIO_get_data(b);
    if (command == BIO_CTRL_EOF) return t->at_end;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of a worker");
    assert(method);
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

/* ---- life ---- */

static struct tls *new_tls(SSL *ssl, int fd) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    struct tls *t = mem_alloc_zero(sizeof *t);
    *t = (struct tls){ .ssl = ssl, .fd = fd };
    BIO *bio = BIO_new(method);
    assert(bio); /* memory does not run out, see base/mem.h */
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return t;
}

struct tls *tls_new_server(int fd) {
    SSL *ssl = tls_ssl_new(true);
    if (!ssl) return NULL;
    SSL_set_accept_state(ssl);
    return new_tls(ssl, fd);
}

/* A session that began without a certificate, as clients may, must not be resumed here: these have a context
 * of their own. */
struct tls *tls_new_peer(int fd) {
    static const unsigned char context[] = "peer";
    SSL *ssl = tls_ssl_new(true);
    if (!ssl) return NULL;
    SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (SSL_set_session_id_context(ssl, context, sizeof context - 1) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return new_tls(ssl, fd);
}

static bool is_address(const char *host) {
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool name_host(SSL *ssl, const char *host) {
    bool address = is_address(host);
    if (!address && !SSL_set_tlsext_host_name(ssl, host)) return false;
    if (!tls_links_verify_host()) return true;
    return address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
                   : SSL_set1_host(ssl, host) == 1;
}

struct tls *tls_new_client(int fd, const char *host) {
    SSL *ssl = tls_ssl_new(false);
    if (!ssl) return NULL;
    if (!name_host(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return new_tls(ssl, fd);
}

/* ---- around every call of OpenSSL ---- */

static void begin_call(struct tls *t) {
    if (UNLIKELY(!mine.bytes)) mine.bytes = mem_alloc(RECEIVE_SIZE);
    assert(mine.at == mine.end);
    if (UNLIKELY(ERR_peek_error() != 0)) ERR_clear_error();
    t->drained = false;
    t->in_use = true;
    t->system_error = 0;
    if (UNLIKELY(t->left.len > 0)) {
        assert(t->left.len <= RECEIVE_SIZE);
        memcpy(mine.bytes, t->left.ptr, t->left.len);
        mine.at = 0;
        mine.end = t->left.len;
        buf_release(&t->left);
    }
}

static void end_call(struct tls *t) {
    if (UNLIKELY(mine.at < mine.end))
        buf_append(&t->left, slice_make(mine.bytes + mine.at, mine.end - mine.at));
    mine.at = mine.end = 0;
}

static void note_error(struct tls *t) {
    unsigned long code = ERR_peek_last_error();
    t->broken = true;
    snprintf(t->error, sizeof t->error, "TLS protocol error");
    if (code) ERR_error_string_n(code, t->error, sizeof t->error);
    long verdict = SSL_get_verify_result(t->ssl);
    if (verdict != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        size_t len = strlen(t->error);
        snprintf(t->error + len, sizeof t->error - len, " (%s)", X509_verify_cert_error_string(verdict));
    }
    ERR_clear_error();
    errno = EPROTO;
}

/* What a failed call means: SSL_ERROR_WANT_... or ZERO_RETURN; all else is an error, which errno tells of. */
static int outcome(struct tls *t, int result) {
    int kind = SSL_get_error(t->ssl, result);
    if (kind == SSL_ERROR_SYSCALL && t->at_end) kind = SSL_ERROR_ZERO_RETURN;
    if (kind == SSL_ERROR_SYSCALL && t->system_error) {
        t->broken = true;
        snprintf(t->error, sizeof t->error, "%s", file_errno_text(t->system_error));
        ERR_clear_error();
        errno = t->system_error;
    } else if (kind == SSL_ERROR_SYSCALL || kind == SSL_ERROR_SSL) {
        note_error(t);
    }
    return kind;
}

/* OpenSSL does not say again what went wrong. */
static bool is_broken(const struct tls *t) {
    if (UNLIKELY(t->broken)) errno = EPROTO;
    return t->broken;
}

const char *tls_error(const struct tls *t) { return t->error; }

/* ---- handshake ---- */

enum tls_step tls_handshake(struct tls *t) {
    begin_call(t);
    int result = SSL_do_handshake(t->ssl);
    int kind = result == 1 ? SSL_ERROR_NONE : outcome(t, result);
    end_call(t);
    t->connected = kind == SSL_ERROR_NONE;
    if (t->connected) return TLS_DONE;
    if (kind == SSL_ERROR_WANT_READ) return TLS_WANTS_READ;
    if (kind == SSL_ERROR_WANT_WRITE) return TLS_WANTS_WRITE;
    if (kind == SSL_ERROR_ZERO_RETURN)
        snprintf(t->error, sizeof t->error, "the other side closed the connection");
    return TLS_FAILED;
}

/* ---- reading ---- */

bool tls_has_pending(const struct tls *t) { return t->left.len > 0 || t->over || SSL_pending(t->ssl) > 0; }

/* A failed read: -1 and errno, or 0 at the end. */
static ssize_t read_failed(struct tls *t, int result) {
    int kind = outcome(t, result);
    t->read_waits_to_write = kind == SSL_ERROR_WANT_WRITE;
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    t->over = true;
    return kind == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* Record after record, as long as they are here and there is room: a pipeline may come in many. */
ssize_t tls_read(struct tls *t, void *to, size_t room) {
    size_t sum = 0;
    ssize_t result = -1;
    if (is_broken(t)) return -1;
    begin_call(t);
    t->read_waits_to_write = false;
    do {
        size_t got;
        int done = SSL_read_ex(t->ssl, (char *)to + sum, room - sum, &got);
        if (done != 1) {
            result = read_failed(t, done);
            break;
        }
        sum += got;
    } while (sum < room && (mine.at < mine.end || SSL_pending(t->ssl) > 0));
    int why = errno;
    end_call(t);
    errno = why;
    return sum > 0 ? (ssize_t)sum : result;
}

bool tls_read_waits_to_write(const struct tls *t) { return t->read_waits_to_write; }
bool tls_write_waits_to_read(const struct tls *t) { return t->write_waits_to_read; }

/* ---- writing ---- */

/* Where the next record comes from. */
struct source {
    const struct iovec *at, *end;
    size_t skip; /* bytes of `at` that are out */
};

static void advance(struct source *s, size_t count) {
    while (s->at < s->end && count >= s->at->iov_len - s->skip) {
        count -= s->at->iov_len - s->skip;
        s->skip = 0;
        s->at++;
    }
    s->skip += count;
}

/* A record that was refused (`again`) has to be offered again with at least the same bytes: then all that fit
 * are gathered. */
static struct slice next_record(const struct source *s, bool again) {
    const char *first = (const char *)s->at->iov_base + s->skip;
    size_t len = s->at->iov_len - s->skip;
    if (len >= (again ? RECORD : DIRECT) || s->at + 1 == s->end)
        return slice_make(first, len < RECORD ? len : RECORD);
    if (UNLIKELY(!mine.record)) mine.record = mem_alloc(RECORD);
    memcpy(mine.record, first, len);
    for (const struct iovec *v = s->at + 1; v < s->end && len < RECORD; v++) {
        size_t part = v->iov_len < RECORD - len ? v->iov_len : RECORD - len;
        memcpy(mine.record + len, v->iov_base, part);
        len += part;
    }
    return slice_make(mine.record, len);
}

static void write_failed(struct tls *t, int result) {
    int kind = outcome(t, result);
    t->write_waits_to_read = kind == SSL_ERROR_WANT_READ;
    t->write_open = kind == SSL_ERROR_WANT_WRITE || kind == SSL_ERROR_WANT_READ;
    if (t->write_open) errno = EAGAIN;
    if (kind == SSL_ERROR_ZERO_RETURN) errno = EPIPE;
}

ssize_t tls_write_vectors(struct tls *t, const struct iovec *from, int count) {
    struct source s = { from, from + count, 0 };
    size_t sum = 0;
    if (is_broken(t)) return -1;
    begin_call(t);
    t->write_waits_to_read = false;
    while (s.at < s.end) {
        struct slice record = next_record(&s, t->write_open);
        t->write_open = false;
        size_t sent = 0;
        int done = record.len == 0 ? 1 : SSL_write_ex(t->ssl, record.ptr, record.len, &sent);
        if (done != 1) {
            write_failed(t, done);
            break;
        }
        advance(&s, sent);
        sum += sent;
    }
    int why = errno;
    end_call(t);
    errno = why;
    return sum > 0 || s.at == s.end ? (ssize_t)sum : -1;
}

/* ---- at rest ---- */

/* Giving the buffers back after each call, as OpenSSL would by itself, costs a tenth of a small command. */
void tls_rest(struct tls *t) {
    if (!t->in_use) SSL_free_buffers(t->ssl); /* not those that hold something */
    t->in_use = false;
}

/* ---- the other side's names ---- */

static bool take_common_name(X509 *cert, bool (*take)(void *arg, struct slice name), void *arg) {
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
    if (at < 0) return false;
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool taken = len > 0 && take(arg, slice_make(text, (size_t)len));
    OPENSSL_free(text);
    return taken;
}

static bool take_uris(X509 *cert, bool (*take)(void *arg, struct slice name), void *arg) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool taken = false;
    for (int i = 0; !taken && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) continue;
        const ASN1_STRING *text = name->d.uniformResourceIdentifier;
        taken = take(arg, slice_make(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)));
    }
    GENERAL_NAMES_free(names);
    return taken;
}

bool tls_peer_names(const struct tls *t, enum tls_name sort, bool (*take)(void *arg, struct slice name),
                    void *arg) {
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    if (!cert || SSL_get_verify_result(t->ssl) != X509_V_OK) return false;
    return sort == TLS_NAME_CN ? take_common_name(cert, take, arg) : take_uris(cert, take, arg);
}

/* ---- the end ---- */

void tls_free(struct tls *t) {
    bool listens = !t->at_end && !t->over;
    if (t->connected && listens && !t->broken && !t->write_open) {
        begin_call(t);
        (void)SSL_shutdown(
            t->ssl); /* a farewell that is not sent is no loss: the socket's end says the same */
        end_call(t);
    }
    ERR_clear_error();
    SSL_free(t->ssl);
    buf_release(&t->left);
    mem_free(t);
}

void tls_thread_release(void) {
    mem_free(mine.bytes);
    mem_free(mine.record);
    mine.bytes = mine.record = NULL;
}
