/* libraries.c: the libraries of functions that a file held. This server runs none of them; they go into the
 * next file, so that nothing is lost. A library replaces an older one of the same name. */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include "trivet/persist/rdb/file.h"

static struct {
    struct slice *codes; /* their bytes are owned */
    size_t count, room;
} libraries;

/* "#!lua name=mylib": engine and name. */
static struct slice first_line(struct slice code) {
    const char *end = code.len ? memchr(code.ptr, '\n', code.len) : NULL;
    return end ? slice_between(code.ptr, end) : code;
}

/* The place of the library of that name, made if there is none. */
static struct slice *place_of(struct slice code) {
    for (size_t i = 0; i < libraries.count; i++)
        if (slice_equal(first_line(libraries.codes[i]), first_line(code))) return &libraries.codes[i];
    GROW(libraries.codes, libraries.count, &libraries.room, 4);
    libraries.codes[libraries.count] = (struct slice){ NULL, 0 };
    return &libraries.codes[libraries.count++];
}

void rdb_libraries_add(struct slice code) {
    char *bytes = mem_alloc(code.len + 1);
    memcpy(bytes, code.ptr, code.len);
    struct slice *place = place_of(code);
    mem_free(unconst(place->ptr));
    *place = slice_make(bytes, code.len);
}

size_t rdb_libraries_count(void) { return libraries.count; }

struct slice rdb_libraries_get(size_t index) {
    assert(index < libraries.count);
    return libraries.codes[index];
}

void rdb_libraries_clear(void) {
    for (size_t i = 0; i < libraries.count; i++) mem_free(unconst(libraries.codes[i].ptr));
    mem_free(libraries.codes);
    libraries.codes = NULL;
    libraries.count = libraries.room = 0;
}
