/* server_hooks.h: what commands ask of the layers above them (SHUTDOWN, DEBUG LOADAOF, INFO's listeners), and
 * the few facts of this process that INFO, ROLE and LASTSAVE show.
 *
 * setup.c fills server_hooks once, before any worker; all but reload_aof must be set. The facts are written
 * at start-up by the functions below; the loading numbers by the loader while workers read them. */
#ifndef TRIVET_ENGINE_PROCESS_SERVER_HOOKS_H
#define TRIVET_ENGINE_PROCESS_SERVER_HOOKS_H

#include "trivet/base/buf.h"
#include "trivet/base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The words of SHUTDOWN; conflicting ones were refused by the command. */
enum shutdown_flag {
    SHUTDOWN_SAVE = 1 << 0,
    SHUTDOWN_NOSAVE = 1 << 1,
    SHUTDOWN_NOW = 1 << 2,      /* do not wait for replicas */
    SHUTDOWN_FORCE = 1 << 3,    /* go even if data cannot be written */
    SHUTDOWN_SAFE = 1 << 4,     /* not while it serves slots of a cluster, unless forced */
    SHUTDOWN_FAILOVER = 1 << 5, /* a replica that has all data takes over its slots */
};

/* The words of DEBUG RELOAD. */
enum reload_flag {
    RELOAD_NOSAVE = 1 << 0,
    RELOAD_NOFLUSH = 1 << 1, /* keep the present keys; a key that the file has too is an error */
    RELOAD_MERGE = 1 << 2,   /* with it: not an error, the file's key wins */
};

struct call;

struct server_hooks {
    /* SHUTDOWN. Gate closed. Closes the client without a reply, if the shutdown has begun; lets it wait, if
     * replicas are waited for; or replies the error, and the server goes on. */
    void (*shutdown)(struct call *c, unsigned flags);
    /* SHUTDOWN ABORT. Gate closed. False if no shutdown waits for replicas. */
    bool (*shutdown_abort)(void);
    /* How long a shutdown will still wait for replicas; -1: none does. Any worker, gate held. */
    int64_t (*shutdown_left_ms)(int64_t now_ms);
    /* DEBUG LOADAOF: writes what the file still lacks, empties the keyspace and reads the file again. Gate
     * closed. False with the reply's text without '-' in `error`. NULL: there is nothing to load from. */
    bool (*reload_aof)(struct buf *error);
    /* The loading half of DEBUG RELOAD: checks that dir/dbfilename is undamaged, empties the keyspace and
     * loads it; `flags` are of enum reload_flag. Gate closed. False with the reply's text without '-' in
     * `error`. */
    bool (*reload_rdb)(unsigned flags, struct buf *error);
    /* DEBUG RESTART, CRASH-AND-RECOVER: restarts the process with its arguments, after a delay; if `save`,
     * everything is written first. Gate closed. Returns only with the reply's text without '-' in `error`. */
    void (*restart)(bool save, int64_t delay_ms, struct buf *error);
    /* Appends INFO's lines "listener0:name=tcp,bind=*,port=6379\r\n". Any worker, gate held. */
    void (*describe_listeners)(struct buf *out);
};
extern struct server_hooks server_hooks;

/* Set once by server_facts_init and server_facts_ready, constant afterwards. */
struct server_facts {
    char run_id[41];       /* 40 hex digits */
    char build_id[17];     /* 16 hex digits that the linker made of the program; zeros if it did not */
    char executable[1024]; /* absolute path, "" if unknown */
    int64_t clients_hz;    /* how many times a second each client is checked */
    int64_t started_ms;    /* wall clock; LASTSAVE answers it while there was no save */
    int64_t started_steady_us;
    size_t startup_memory; /* used memory when the server was ready, before any data */
};
extern struct server_facts server_facts;

/* Draws the ids and notes the time. Main thread, first thing in setup_modules. */
void server_facts_init(void);
/* Notes the memory in use. Main thread, at the end of setup_modules, before data is loaded. */
void server_facts_ready(void);

/* The progress of loading the data set, for INFO. The loader writes, any worker reads; relaxed. */
struct loading_progress {
    atomic_int_fast64_t started_s;      /* wall clock; 0: nothing is being loaded */
    atomic_uint_fast64_t total, loaded; /* bytes */
    /* Of the RDB file that was loaded last. */
    atomic_uint_fast64_t last_keys_loaded, last_keys_expired;
};
extern struct loading_progress loading_progress;
/* aof_load.progress has this form: `arg` is not used. */
void loading_note(void *arg, uint64_t loaded, uint64_t total);
void loading_note_keys(uint64_t loaded, uint64_t expired);
void loading_begin(int64_t now_s);
void loading_end(void);
bool loading_is_under_way(void);

#endif
