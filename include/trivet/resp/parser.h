/* parser.h: turns the bytes of one connection into commands: RESP arrays and inline lines.
 *
 * Source of the format: the public RESP specification, "requests". One struct args is one command, perhaps
 * not complete yet: parse_command is called again with the same struct and more bytes, and goes on where it
 * stopped, so each byte of a big command is read once, however the bytes arrive.
 *
 * Arguments are slices into the caller's bytes, valid until the caller drops or moves those. If the buffer
 * moved between two calls, the slices are rebased by the parser. An argument of at least PARSE_BIG bytes that
 * is not in the buffer yet is read straight into a blob of its own: parse_command answers PARSE_BIG_BULK, the
 * caller reads into parse_big_room() and reports with parse_big_filled(); see there.
 *
 * Thread: the connection's worker. Allocates only to grow argv and for big arguments. */
#ifndef TRIVET_RESP_PARSER_H
#define TRIVET_RESP_PARSER_H

#include "trivet/base/blob.h"
#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdint.h>

#define PARSE_LINE_MAX (64 * 1024)      /* longest inline command or length line */
#define PARSE_BIG ((size_t)(32 * 1024)) /* from here on an argument gets a blob of its own */
#define PARSE_UNAUTHENTICATED_ARGS 10   /* most arguments of a command before authentication */
#define PARSE_UNAUTHENTICATED_BULK (16 * 1024)

enum parse {
    PARSE_MORE,     /* the command is incomplete: call again with more bytes */
    PARSE_READY,    /* argv[0..argc-1] is a command of `used` bytes; argc may be 0 (an empty line, "*0") */
    PARSE_BIG_BULK, /* read the rest of the current argument into parse_big_room() */
    PARSE_BROKEN,   /* args->error says why, now and at every further call; reply with it, then close */
};

/* What the server allows; changes with CONFIG SET and AUTH. */
struct parse_limits {
    uint64_t bulk_max; /* proto-max-bulk-len, or PARSE_UNAUTHENTICATED_BULK */
    int64_t args_max;  /* INT32_MAX, or PARSE_UNAUTHENTICATED_ARGS: below, errors say "unauthenticated" */
};

struct args {
    struct slice *argv;
    struct blob **blobs; /* NULL, or for each argument NULL or the blob it lies in: an owned reference */
    size_t argc;         /* arguments so far; when READY, all */
    size_t room;         /* of argv, and of blobs if there is one */
    size_t used;         /* bytes of the caller's buffer that belong to this command so far */
    uint64_t bytes;      /* bytes of the whole command on the wire, big arguments included */
    const char *error;   /* static text, set with BROKEN: "Protocol error: ..." without the -ERR */
    char error_text[64]; /* where `error` points if it has a variable part */
    /* The parser's own, between two calls. */
    const char *base;    /* where the caller's bytes began at the last call */
    int64_t args_left;   /* -1: the array header has not been read */
    int64_t bulk_length; /* -1: the length line of the current argument has not been read */
    struct blob *big;    /* the big argument being filled */
    size_t blob_memory;  /* of the blobs that arguments lie in */
    size_t big_filled;   /* its bytes so far, the final CRLF included */
    size_t scanned;      /* bytes of the current line that are known to hold no line end */
    char *inline_text;   /* the arguments of an inline command that had quotes, owned */
};

void args_init(struct args *a);
/* Ready for the next command; keeps argv's memory if it is not large, drops blobs. */
void args_reset(struct args *a);
void args_release(struct args *a);
/* True if nothing of a command has been seen: the struct holds no state worth keeping. */
bool args_is_idle(const struct args *a);
/* Bytes that an incomplete or waiting command holds outside the caller's buffer. */
size_t args_memory(const struct args *a);
/* Bytes of the arguments so far. */
size_t args_text_bytes(const struct args *a);
/* The caller's buffer moved: the command begins at `base` now. Adjusts the arguments that point into it.
 * parse_command does this itself; this call is for a complete command that waits to run. */
void args_rebase(struct args *a, const char *base);

/* Reads on. `bytes` begins where the command began (a->used counts from there) and holds all that has
 * arrived and was not dropped. Big arguments are not in `bytes`. After READY: args_reset, then the next. */
MUST_CHECK enum parse parse_command(struct args *a, struct slice bytes, const struct parse_limits *limits);

/* After PARSE_BIG_BULK: where the next bytes of the big argument go and how many may be put there, at least
 * one. Never more than are missing (its CRLF included), but perhaps fewer: the blob grows as bytes arrive, so
 * a client that only announces 512 MB gets no such memory. Bytes of it that were in the buffer have been
 * moved to the blob and count as used. */
struct parse_room {
    char *ptr;
    size_t len;
    bool is_last; /* the argument ends with it: further bytes of the socket belong in the caller's buffer */
};
struct parse_room parse_big_room(struct args *a);
/* `count` bytes were put there. Call parse_command again: it answers PARSE_BIG_BULK while some are missing,
 * then goes on at a->used of the caller's buffer, or PARSE_BROKEN if the argument did not end with CR LF. */
void parse_big_filled(struct args *a, size_t count);

/* Splits a line as config files do: "double \x41\n quotes", 'single \' quotes', a"nd b"oth. The words are in
 * `*text`, each with a NUL after it. The caller frees `*argv` and `*text` with mem_free; both are NULL if
 * there is no word. False, and nothing to free, if quotes are unbalanced. */
MUST_CHECK bool split_line(struct slice line, struct slice **argv, size_t *argc, char **text);

#endif
