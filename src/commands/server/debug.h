/* debug.h: the subcommands of DEBUG, a table a file, and fingerprints of data. Thread: gate closed. */
#ifndef COMMANDS_SERVER_DEBUG_H
#define COMMANDS_SERVER_DEBUG_H

#include "trivet/engine/command/call.h"

struct debug_subcommand {
    const char *name;
    size_t min, max; /* arguments, both names included */
    void (*run)(struct call *c);
    const char *arguments, *help;
};

/* Each ends with a row without a name. */
extern const struct debug_subcommand debug_data_rows[], debug_table_rows[], debug_client_rows[],
    debug_crash_rows[];

/* The third argument, 0 or 1; false after replying that it is neither. */
bool debug_read_switch(struct call *c, bool *on);

#define DIGEST_BYTES 20
struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

/* Of all databases, whatever the order of keys: equal to what Redis and Valkey compute for the same data.
 * Expired entries do not count. */
void digest_everything(int64_t now_ms, struct digest *out);
/* Of one value and its expiry, without the key. */
void digest_value(const struct entry *e, struct digest *out);
/* 40 hex digits and a NUL. */
void digest_hex(const struct digest *d, char out[2 * DIGEST_BYTES + 1]);

#endif
