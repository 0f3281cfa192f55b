/* info_tls.c: INFO's section about the certificates in use, for alerts before they expire. */
#include "info.h"
#include "trivet/transport/tls_contexts.h"

struct tls_sample {
    struct tls_certificates found;
    const char *server_serial, *client_serial, *ca_serial;
    int64_t server_left_s, client_left_s, ca_left_s;
};

static int64_t time_left_s(const struct tls_certificate *c, int64_t now_ms) {
    int64_t left_s = c->expires_s - now_ms / 1000;
    return c->expires_s == 0 || left_s < 0 ? 0 : left_s;
}

static bool sample_tls(int64_t now_ms, void *into) {
    struct tls_sample *s = into;
    tls_certificates_describe(&s->found);
    s->server_serial = s->found.server.serial;
    s->client_serial = s->found.client.serial;
    s->ca_serial = s->found.ca.serial;
    s->server_left_s = time_left_s(&s->found.server, now_ms);
    s->client_left_s = time_left_s(&s->found.client, now_ms);
    s->ca_left_s = time_left_s(&s->found.ca, now_ms);
    return true;
}

#define SERIAL(field) .kind = METRIC_TEXT, .form = FORM_STRING, SAMPLED(struct tls_sample, field)
#define LEFT(field) "seconds", .kind = METRIC_GAUGE, .form = FORM_SIGNED, SAMPLED(struct tls_sample, field)

static const struct metric tls_rows[] = {
    { "tls_server_cert_serial", "Of the certificate that clients see; none if there is none.",
      SERIAL(server_serial) },
    { "tls_server_cert_expires_in_seconds", "How long the certificate that clients see is valid.",
      LEFT(server_left_s) },
    { "tls_client_cert_serial", "Of the certificate of links that go out, if that is another one.",
      SERIAL(client_serial) },
    { "tls_client_cert_expires_in_seconds", "How long the certificate of links that go out is valid.",
      LEFT(client_left_s) },
    { "tls_ca_cert_serial", "Of the trusted authority that expires first.", SERIAL(ca_serial) },
    { "tls_ca_cert_expires_in_seconds", "How long the trusted authority that expires first is valid.",
      LEFT(ca_left_s) },
    { NULL },
};

const struct metric_table info_tls = { "TLS", tls_rows, sizeof(struct tls_sample), sample_tls, NULL };
