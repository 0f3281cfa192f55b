/* rows_tls.c: the settings of TLS. They are applied together, see apply_tls: a certificate and its key change
 * in one CONFIG SET. */
#include "rows.h"

#include "trivet/transport/tls_contexts.h"

static const struct option_name client_auth[] = {
    { "no", TLS_CLIENTS_NO }, { "yes", TLS_CLIENTS_YES }, { "optional", TLS_CLIENTS_OPTIONAL }, { NULL, 0 }
};
static const struct option_name user_fields[] = {
    { "off", TLS_USER_OFF }, { "CN", TLS_USER_CN }, { "URI", TLS_USER_URI }, { NULL, 0 }
};

const struct option options_table_tls[] = {
    /* Listening. */
    { INT("tls-port", tls_port, "0", 0, 65535), .apply = apply_tls },
    { INT("max-new-tls-connections-per-cycle", max_new_tls_connections_per_cycle, "1", 1, 1000) },
    /* Trivet's own: how long a handshake may take, in milliseconds, and how many may be under way. */
    { INT("tls-handshake-timeout", tls_handshake_timeout_ms, "10000", 1, MAX_INT) },
    { INT("tls-max-handshakes", tls_max_handshakes, "1000", 1, MAX_INT) },

    /* Files. */
    { STRING("tls-cert-file", tls_cert_file, ""), .apply = apply_tls },
    { STRING("tls-key-file", tls_key_file, ""), .apply = apply_tls },
    { STRING("tls-key-file-pass", tls_key_file_pass, ""), .flags = OPTION_SENSITIVE, .apply = apply_tls },
    { STRING("tls-ca-cert-file", tls_ca_cert_file, ""), .apply = apply_tls },
    { STRING("tls-ca-cert-dir", tls_ca_cert_dir, ""), .apply = apply_tls },
    { STRING("tls-dh-params-file", tls_dh_params_file, ""), .apply = apply_tls },
    { INT("tls-auto-reload-interval", tls_auto_reload_interval_s, "0", 0, MAX_INT) },

    /* Rules. */
    { ENUM("tls-auth-clients", tls_auth_clients, "yes", client_auth), .apply = apply_tls },
    { ENUM("tls-auth-clients-user", tls_auth_clients_user, "off", user_fields) },
    { STRING("tls-protocols", tls_protocols, ""), .apply = apply_tls },
    { STRING("tls-ciphers", tls_ciphers, ""), .apply = apply_tls },
    { STRING("tls-ciphersuites", tls_ciphersuites, ""), .apply = apply_tls },
    { BOOL("tls-prefer-server-ciphers", tls_prefer_server_ciphers, "no"), .apply = apply_tls },
    { BOOL("tls-session-caching", tls_session_caching, "yes"), .apply = apply_tls },
    { INT("tls-session-cache-size", tls_session_cache_size, "20480", 0, MAX_INT), .apply = apply_tls },
    { INT("tls-session-cache-timeout", tls_session_cache_timeout_s, "300", 0, MAX_INT), .apply = apply_tls },

    /* Links to other servers. With tls-cluster the bus and MIGRATE speak TLS. */
    { BOOL("tls-replication", tls_replication, "no"), .apply = apply_tls },
    { BOOL("tls-cluster", tls_cluster, "no"), .apply = apply_tls },
    { STRING("tls-client-cert-file", tls_client_cert_file, ""), .apply = apply_tls },
    { STRING("tls-client-key-file", tls_client_key_file, ""), .apply = apply_tls },
    { STRING("tls-client-key-file-pass", tls_client_key_file_pass, ""), .flags = OPTION_SENSITIVE,
      .apply = apply_tls },
    /* Trivet's own: the other server's certificate must be for the host that was asked for. */
    { BOOL("tls-verify-host", tls_verify_host, "no"), .apply = apply_tls },
    { .name = NULL },
};
