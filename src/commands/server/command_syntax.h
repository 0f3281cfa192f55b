/* command_syntax.h: the arguments of a command as a tree, from the text that documentation shows
 * ("key seconds [NX | XX | GT | LT]"). */
#ifndef COMMANDS_SERVER_COMMAND_SYNTAX_H
#define COMMANDS_SERVER_COMMAND_SYNTAX_H

#include "trivet/base/slice.h"

enum syntax_kind {
    SYNTAX_ARGUMENT, /* a word in lower case: something the caller puts there */
    SYNTAX_TOKEN,    /* a word in upper case alone */
    SYNTAX_ONEOF,    /* a | b */
    SYNTAX_BLOCK,    /* several that belong together */
};

struct syntax {
    enum syntax_kind kind;
    struct slice name;  /* of an argument; slices point into the text */
    struct slice token; /* the word in upper case before it; empty if there is none */
    bool optional, multiple, multiple_token;
    struct syntax *children; /* of ONEOF and BLOCK */
    struct syntax *next;
};

/* The caller frees the list with syntax_free. NULL for an empty text. */
struct syntax *syntax_parse(const char *text);
void syntax_free(struct syntax *list);
size_t syntax_length(const struct syntax *list);

#endif
