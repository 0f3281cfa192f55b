/* health_plan.c: see health_plan.h. There is no option for the password itself: what stands on a command line
 * is seen by all users of a machine. */
#include "health_plan.h"
#include "trivet/base/file.h"
#include "trivet/base/number.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PASSWORD_FILE_MAX 65536

/* The options as they stand on the command line. */
static struct {
    const char *host, *port, *unix_path, *timeout;
    const char *user, *password_file;
    const char *cacert, *cert, *key, *sni;
    bool tls, insecure, live, ready, replica, help;
} given;

static const struct {
    const char *name, *value; /* what the usage calls the value; NULL: the option is a switch */
    const char **text;
    bool *flag;
    const char *meaning;
} rows[] = {
    { "--host", "HOST", &given.host, NULL, "the server's name or address (127.0.0.1)" },
    { "--port", "PORT", &given.port, NULL, "its port (6379)" },
    { "--socket", "PATH", &given.unix_path, NULL, "its unix socket, instead of host and port" },
    { "--user", "USER", &given.user, NULL, "the user to log in as (default)" },
    { "--password-file", "PATH", &given.password_file, NULL, "a file with the password in its first line" },
    { "--tls", NULL, NULL, &given.tls, "speak TLS" },
    { "--cacert", "FILE", &given.cacert, NULL, "authorities to trust, instead of the system's" },
    { "--cert", "FILE", &given.cert, NULL, "the certificate to show" },
    { "--key", "FILE", &given.key, NULL, "its private key" },
    { "--insecure", NULL, NULL, &given.insecure, "trust any certificate" },
    { "--sni", "NAME", &given.sni, NULL, "the name to ask for in the handshake, instead of the host" },
    { "--ready", NULL, NULL, &given.ready,
      "would it serve? It is loaded, writes and is not busy (this is the default)" },
    { "--live", NULL, NULL, &given.live,
      "does it answer at all? Errors are answers too; no password is needed" },
    { "--replica", NULL, NULL, &given.replica,
      "a replica is ready only while the link to its primary is up" },
    { "--timeout", "MS", &given.timeout, NULL, "milliseconds for all of it (1000)" },
    { "--help", NULL, NULL, &given.help, "tells this" },
    { "-h", NULL, NULL, &given.help, NULL },
};

/* Where a password is looked for if no file is named; the first that is not empty counts. */
static const struct {
    const char *variable;
    bool is_path;
} places[] = {
    { "REDISCLI_AUTH", false },       { "VALKEYCLI_AUTH", false },      { "TRIVET_PASSWORD", false },
    { "TRIVET_PASSWORD_FILE", true }, { "REDIS_PASSWORD", false },      { "REDIS_PASSWORD_FILE", true },
    { "VALKEY_PASSWORD", false },     { "VALKEY_PASSWORD_FILE", true },
};

void health_plan_tell_usage(void) {
    printf("Usage: trivet-server health [options]\n"
           "       tells whether a server of Trivet, Redis or Valkey is ready\n\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char option[32];
        if (!rows[i].meaning) continue;
        snprintf(option, sizeof option, "%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %-22s %s\n", option, rows[i].meaning);
    }
    printf("\nWithout --password-file the password is taken from the environment:");
    for (size_t i = 0; i < COUNT_OF(places); i++)
        printf("%s%s $%s", i == 0 ? "" : ",", i % 4 == 0 ? "\n " : "", places[i].variable);
    printf(".\nThe exit status is 0 if it is ready, 1 if not (standard error says why), 2 if the options are "
           "wrong.\n");
}

/* ---- reading ---- */

static bool wrong(struct buf *error, const char *format, ...) PRINTF_LIKE(2, 3);
static bool wrong(struct buf *error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(error, format, args);
    va_end(args);
    return false;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c) {
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

static bool refuse_unknown(const char *word, struct buf *error) {
    if (is_one_of(word, "-a", "--pass", "--password"))
        return wrong(
            error,
            "a password on the command line is seen by all users of the machine: use --password-file, or "
            "$REDISCLI_AUTH");
    return wrong(error, "there is no option '%s'; --help tells which there are", word);
}

static bool read_options(int argc, char **argv, struct buf *error) {
    for (int i = 0; i < argc; i++) {
        size_t row = 0;
        while (row < COUNT_OF(rows) && strcmp(rows[row].name, argv[i]) != 0) row++;
        if (row == COUNT_OF(rows)) return refuse_unknown(argv[i], error);
        if (rows[row].flag) {
            *rows[row].flag = true;
            continue;
        }
        if (i + 1 == argc || !argv[i + 1][0]) return wrong(error, "%s needs a value", argv[i]);
        *rows[row].text = argv[++i];
    }
    return true;
}

/* ---- what cannot stand together ---- */

static bool read_number(const char *option, const char *text, int64_t most, int64_t *out, struct buf *error) {
    int64_t n;
    if (!int64_parse(slice_of(text), &n) || n < 1 || n > most)
        return wrong(error, "%s must be a number from 1 to %lld, and is '%s'", option, (long long)most, text);
    *out = n;
    return true;
}

static bool check_address(struct health_plan *p, struct buf *error) {
    int64_t port;
    p->host = given.host ? given.host : "127.0.0.1";
    p->port = given.port ? given.port : "6379";
    p->unix_path = given.unix_path ? given.unix_path : "";
    if (given.unix_path && (given.host || given.port))
        return wrong(error, "--socket goes without --host and --port");
    if (given.unix_path && given.tls) return wrong(error, "--socket goes without --tls");
    return read_number("--port", p->port, 65535, &port, error);
}

static bool check_tls(struct health_plan *p, struct buf *error) {
    const char *needy = given.cacert     ? "--cacert"
                        : given.cert     ? "--cert"
                        : given.key      ? "--key"
                        : given.sni      ? "--sni"
                        : given.insecure ? "--insecure"
                                         : NULL;
    if (needy && !given.tls) return wrong(error, "%s needs --tls", needy);
    if (given.cert && !given.key) return wrong(error, "--cert needs --key");
    if (given.key && !given.cert) return wrong(error, "--key needs --cert");
    if (given.insecure && given.cacert) return wrong(error, "--insecure goes without --cacert");
    p->tls = given.tls;
    p->insecure = given.insecure;
    p->cacert = given.cacert ? given.cacert : "";
    p->cert = given.cert ? given.cert : "";
    p->key = given.key ? given.key : "";
    p->sni = given.sni ? given.sni : p->host;
    return true;
}

static bool check_question(struct health_plan *p, struct buf *error) {
    if (given.live && given.ready) return wrong(error, "--live and --ready are two questions: choose one");
    if (given.live && given.replica) return wrong(error, "--replica goes with --ready only");
    p->live = given.live;
    p->replica = given.replica;
    return read_number("--timeout", given.timeout ? given.timeout : "1000", INT32_MAX, &p->timeout_ms, error);
}

/* ---- the password ---- */

/* The first line of the file. */
static bool read_password_file(struct health_plan *p, const char *path, struct buf *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool read = fd >= 0 && file_read_all(fd, PASSWORD_FILE_MAX, &p->password);
    int reason = errno;
    if (fd >= 0) close(fd);
    if (!read) return wrong(error, "can't read the password file %s: %s", path, file_errno_text(reason));
    const char *end = p->password.len ? memchr(p->password.ptr, '\n', p->password.len) : NULL;
    if (end) p->password.len = (size_t)(end - p->password.ptr);
    if (p->password.len && p->password.ptr[p->password.len - 1] == '\r') p->password.len--;
    if (p->password.len == 0) return wrong(error, "the first line of the password file %s is empty", path);
    p->has_password = true;
    return true;
}

static bool find_password(struct health_plan *p, struct buf *error) {
    if (given.password_file) return read_password_file(p, given.password_file, error);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        const char *value = getenv(places[i].variable);
        if (!value || !value[0]) continue;
        if (places[i].is_path) return read_password_file(p, value, error);
        buf_append(&p->password, slice_of(value));
        p->has_password = true;
        return true;
    }
    return true;
}

bool health_plan_read(struct health_plan *p, int argc, char **argv, struct buf *error) {
    *p = (struct health_plan){ .user = "" };
    if (!read_options(argc, argv, error)) return false;
    p->help = given.help;
    p->user = given.user ? given.user : "";
    if (p->help) return true;
    return check_address(p, error) && check_tls(p, error) && check_question(p, error) &&
           (p->live || find_password(p, error));
}

void health_plan_release(struct health_plan *p) { buf_release(&p->password); }
