/* tls_private.h: what the files about TLS share. Thread: any. */
#ifndef TRANSPORT_TLS_PRIVATE_H
#define TRANSPORT_TLS_PRIVATE_H

#include "trivet/base/compiler.h"
#include <openssl/ssl.h>
#include <stdbool.h>

/* A new connection by the contexts in use, of which it keeps its own reference; NULL if there are none. */
SSL *tls_ssl_new(bool is_server);
/* Should the name in the other side's certificate be that of the host? */
bool tls_links_verify_host(void);

#endif
