/* tls_server.h: servers of the tests of TLS. Each test file includes it once. */
#ifndef TESTS_INTEGRATION_TLS_SERVER_H
#define TESTS_INTEGRATION_TLS_SERVER_H

#include "../harness/fixture.h"
#include "../harness/tls.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP __attribute__((unused)) static

/* For cmocka_run_group_tests. */
HELP int make_certificates(void **state) {
    (void)state;
    tls_make_usual();
    return 0;
}

/* A server with the usual certificates and, behind them, `more`. */
HELP struct server *launch_with(const char *const *more) {
    const char *args[64] = { "--tls-cert-file",      tls_path("server.crt"), "--tls-key-file",
                             tls_path("server.key"), "--tls-ca-cert-file",   tls_path("ca.crt") };
    size_t count = 6;
    while (more && *more) args[count++] = *more++;
    return server_launch(&(struct server_plan){ .tls = true, .args = args });
}
#define LAUNCH(...) launch_with((const char *const[]){ __VA_ARGS__, NULL })

/* A client with the usual certificate. */
HELP struct client *connect_tls(struct server *s) {
    SSL_CTX *rules = tls_usual_rules();
    struct client *c = client_open_tls(server_tls_port(s), rules);
    SSL_CTX_free(rules);
    if (!c) fail_msg("no TLS: %s", tls_failure());
    return c;
}

/* Does a client with these rules get an answer? Frees the rules. */
HELP bool is_served(struct server *s, SSL_CTX *rules) {
    struct client *c = client_open_tls(server_tls_port(s), rules);
    SSL_CTX_free(rules);
    if (!c) return false;
    bool served = strcmp(client_ask(c, "PING"), "+PONG") == 0;
    client_close(c);
    return served;
}

/* CONFIG SET with printf's help, its arguments quoted by the caller where they need it. */
#define assert_config_set(c, expected, ...)                                   \
    do {                                                                      \
        char set_command[1024];                                               \
        snprintf(set_command, sizeof set_command, "CONFIG SET " __VA_ARGS__); \
        assert_reply((c), set_command, (expected));                           \
    } while (0)

#endif
