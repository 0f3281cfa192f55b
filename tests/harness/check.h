/* check.h: what tests over the wire say: a command and the reply it must get.
 *
 * Commands are written as for redis-cli; replies in the compact text of node.h, in which "..." stands for
 * anything;
 * ":90..100" is an integer between these two, both included: for times to live, which shrink while a test
 * runs. A mismatch fails the running cmocka test and prints command, expectation and reply. */
#ifndef TESTS_HARNESS_CHECK_H
#define TESTS_HARNESS_CHECK_H

#include "await.h"
#include "server.h"

#define assert_reply(client, command, expected) \
    check_reply((client), (command), (expected), __FILE__, __LINE__)
/* The reply's items may come in any order; `expected` lists them sorted by their text. */
#define assert_reply_sorted(client, command, expected) \
    check_reply_sorted((client), (command), (expected), __FILE__, __LINE__)
/* The next reply (or push) without sending anything. */
#define assert_next(client, expected) check_next((client), (expected), __FILE__, __LINE__)
/* A table of commands and replies, ended by a row without a command, all on one connection. */
#define assert_exchanges(client, rows) check_exchanges((client), (rows), __FILE__, __LINE__)
/* Asks again and again, with patience, until the reply is `expected`: for what happens in the background. */
#define assert_reply_soon(client, command, expected) \
    check_reply_soon((client), (command), (expected), __FILE__, __LINE__)
/* One field of INFO, as text. */
#define assert_info(client, section, field, value) \
    check_info((client), (section), (field), (value), __FILE__, __LINE__)
#define assert_info_soon(client, section, field, value) \
    check_info_soon((client), (section), (field), (value), __FILE__, __LINE__)
/* Sends `waiter` a command and returns when it waits in it. `c` is another one, to ask with. */
#define send_and_wait(c, waiter, command) check_waits((c), (waiter), (command), __FILE__, __LINE__)
/* The server has closed the connection, or does it now. */
#define assert_ended(client) check_ended((client), __FILE__, __LINE__)

struct exchange {
    const char *command, *reply;
};

void check_reply(struct client *c, const char *command, const char *expected, const char *file, int line);
void check_reply_sorted(struct client *c, const char *command, const char *expected, const char *file,
                        int line);
void check_next(struct client *c, const char *expected, const char *file, int line);
void check_exchanges(struct client *c, const struct exchange *rows, const char *file, int line);
void check_reply_soon(struct client *c, const char *command, const char *expected, const char *file,
                      int line);
void check_waits(struct client *c, struct client *waiter, const char *command, const char *file, int line);
void check_ended(struct client *c, const char *file, int line);
void check_info(struct client *c, const char *section, const char *field, const char *value, const char *file,
                int line);
void check_info_soon(struct client *c, const char *section, const char *field, const char *value,
                     const char *file, int line);

/* The value of one INFO field as text ("" if it is absent); valid until the next call. */
const char *info_field(struct client *c, const char *section, const char *field);
int64_t info_number(struct client *c, const char *section, const char *field);

#endif
