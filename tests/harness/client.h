/* client.h: a small blocking client for the tests, RESP2 and RESP3.
 *
 * Commands are queued as bytes and leave with client_flush() (client_send and client_ask flush by
 * themselves); flushing also reads, so that a pipeline of any depth cannot block both sides. Waiting for a
 * reply ends with a failed test after CLIENT_PATIENCE_MS or when the server closes. Thread: one at a time for
 * each client. */
#ifndef TESTS_HARNESS_CLIENT_H
#define TESTS_HARNESS_CLIENT_H

#include "node.h"

#define CLIENT_PATIENCE_MS 60000

struct client;

/* NULL (errno) if the server does not accept. */
struct client *client_open_unix(const char *path);
/* `host` is an IPv4 or IPv6 address. */
struct client *client_open_tcp(const char *host, int port);
/* Goes on under TLS with these rules of OpenSSL, see tls.h; `resumed` may be NULL. SSL_ERROR_NONE, or why
 * not.
 */
struct ssl_ctx_st;
struct ssl_session_st;
int client_start_tls(struct client *c, struct ssl_ctx_st *rules, struct ssl_session_st *resumed);
void client_close(struct client *c); /* may be NULL */
/* Closes at once with a reset instead of an orderly end. */
void client_abandon(struct client *c);
int client_fd(const struct client *c);

/* Format, then split into words as redis-cli does. */
void client_queue(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
void client_queue_line(struct client *c, const char *line);
void client_queue_words(struct client *c, const struct words *words);
void client_queue_raw(struct client *c, const void *bytes, size_t len);
/* False if the server closed before it took everything. */
bool client_flush(struct client *c);
void client_send(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
void client_send_raw(struct client *c, const char *bytes); /* NUL-terminated */

/* The next reply; the caller frees it. */
struct node *client_read(struct client *c);
/* NULL instead of a failure when the connection ends first. */
struct node *client_read_or_end(struct client *c);
/* The next reply's compact text, or CONNECTION_CLOSED; valid until the next call for this client. */
#define CONNECTION_CLOSED "(connection closed)"
const char *client_read_text(struct client *c);
/* Sends one command and returns its reply's text. */
const char *client_ask(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
struct node *client_ask_node(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* The reply must be an integer. */
int64_t client_ask_int(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Reads and drops `count` replies, each of which must not be an error. */
void client_skip(struct client *c, size_t count);
/* Waits for the end of the connection or the next byte: true at the end. */
bool client_ended(struct client *c);
/* Is a whole reply here already? Does not wait. */
bool client_has_reply(struct client *c);

#endif
