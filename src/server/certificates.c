/* certificates.c: carries the settings of TLS to the transport layer: at start-up, by CONFIG SET, and every
 * tls-auto-reload-interval seconds if a file has changed.
 *
 * Files are read in CONFIG SET's own time, or else on the background thread. New certificates are checked
 * before they are used; a pair that does not fit, as in the middle of a rotation, leaves the old one in use,
 * and is looked at again when its files change. */
#include "trivet/base/background.h"
#include "trivet/base/log.h"
#include "trivet/base/mem.h"
#include "trivet/engine/settings/options.h"
#include "trivet/net/listener.h"
#include "trivet/server/setup.h"
#include "trivet/transport/tls_contexts.h"
#include <stdatomic.h>

static int64_t listening_on; /* the tls-port that the listeners know */

static bool is_used(void) { return options.tls_port != 0 || options.tls_replication || options.tls_cluster; }

static struct tls_settings settings_now(void) {
    return (struct tls_settings){
        .cert_file = options.tls_cert_file,
        .key_file = options.tls_key_file,
        .key_file_pass = options.tls_key_file_pass,
        .client_cert_file = options.tls_client_cert_file,
        .client_key_file = options.tls_client_key_file,
        .client_key_file_pass = options.tls_client_key_file_pass,
        .ca_cert_file = options.tls_ca_cert_file,
        .ca_cert_dir = options.tls_ca_cert_dir,
        .dh_params_file = options.tls_dh_params_file,
        .protocols = options.tls_protocols,
        .ciphers = options.tls_ciphers,
        .ciphersuites = options.tls_ciphersuites,
        .clients = (enum tls_clients)options.tls_auth_clients,
        .links = options.tls_replication || options.tls_cluster,
        .verify_host = options.tls_verify_host,
        .prefer_server_ciphers = options.tls_prefer_server_ciphers,
        .session_caching = options.tls_session_caching,
        .session_cache_size = options.tls_session_cache_size,
        .session_cache_timeout_s = options.tls_session_cache_timeout_s,
    };
}

bool certificates_load(struct buf *error) {
    struct tls_settings s = settings_now();
    listening_on = options.tls_port;
    if (!is_used()) return true;
    struct tls_contexts *c = tls_contexts_build(&s, error);
    if (c) tls_contexts_install_take(c);
    return c != NULL;
}

/* options_hooks.tls_changed. All or nothing: what is new is installed last. */
bool certificates_changed(struct buf *why) {
    struct tls_contexts *c = NULL;
    if (is_used()) {
        struct tls_settings s = settings_now();
        struct buf reason = { 0 };
        c = tls_contexts_build(&s, &reason);
        if (!c) buf_printf(why, "Unable to update TLS configuration. %.*s", SLICE_ARG(buf_slice(&reason)));
        buf_release(&reason);
        if (!c) return false;
    }
    if (options.tls_port != listening_on && !listeners_reopen()) {
        buf_append(why, LIT("Unable to listen on this port. Check server logs."));
        tls_contexts_free(c);
        return false;
    }
    listening_on = options.tls_port;
    if (c) tls_contexts_install_take(c);
    return true;
}

/* ---- reading files again ---- */

/* The settings as they were when the job was posted; its texts are its own. */
struct reload {
    struct tls_settings settings;
    uint64_t generation;
};

static atomic_bool is_reloading;
static uint64_t refused_files; /* what was looked at last, and no good; the background thread's */

static void copy_texts(struct tls_settings *s, bool free_them) {
    const char **const texts[] = {
        &s->cert_file,           &s->key_file,       &s->key_file_pass, &s->client_cert_file,
        &s->client_key_file,     &s->ca_cert_file,   &s->ca_cert_dir,   &s->client_key_file_pass,
        &s->dh_params_file,      &s->protocols,      &s->ciphers,       &s->ciphersuites,
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (free_them)
            mem_free(unconst(*texts[i]));
        else
            *texts[i] = mem_strdup(*texts[i]);
    }
}

static void read_again(const struct reload *r, uint64_t files) {
    struct buf error = { 0 };
    struct tls_contexts *c = tls_contexts_build(&r->settings, &error);
    if (!c) {
        refused_files = files;
        LOG_WARNING("The changed TLS files are not used, the old certificates stay. %.*s",
                    SLICE_ARG(buf_slice(&error)));
    } else if (tls_contexts_renew_take(c, r->generation)) {
        LOG_NOTICE("TLS certificates were read again, because a file has changed");
    }
    buf_release(&error);
}

static void reload(void *arg) {
    struct reload *r = arg;
    uint64_t files = tls_files_look(&r->settings);
    if (files != tls_files_used() && files != refused_files) read_again(r, files);
    copy_texts(&r->settings, true);
    mem_free(r);
    atomic_store(&is_reloading, false);
}

void certificates_cron(int64_t now_ms) {
    static int64_t looked_ms;
    int64_t every_ms = options.tls_auto_reload_interval_s * 1000;
    if (every_ms == 0 || !is_used() || atomic_load(&is_reloading)) return;
    if (now_ms - looked_ms < every_ms && now_ms >= looked_ms) return;
    looked_ms = now_ms;
    struct reload *r = mem_alloc(sizeof *r);
    *r = (struct reload){ settings_now(), tls_contexts_generation() };
    copy_texts(&r->settings, false);
    atomic_store(&is_reloading, true);
    background_post(reload, r, 0);
}
