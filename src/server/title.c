/* title.c: see title.h. */
#include "title.h"
#include "trivet/base/buf.h"
#include "trivet/engine/settings/options.h"
#include "trivet/server/setup.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The program's own memory of its arguments. */
static struct {
    char **argv;
    char *from, *to;
} room;

static char *end_of(char *text) { return text + strlen(text) + 1; }

static void move_environment(void) {
    size_t count = 0;
    while (environ[count]) count++;
    char **moved = calloc(count + 1, sizeof *moved);
    if (!moved) return;
    for (size_t i = 0; i < count; i++) {
        moved[i] = strdup(environ[i]);
        if (!moved[i]) return; /* it stays where it is, and the title is shorter */
    }
    for (size_t i = 0; i < count && environ[i] == room.to; i++) room.to = end_of(environ[i]);
    environ = moved;
}

void title_find_room(char **argv) {
    room.argv = argv;
    room.from = room.to = argv[0];
    for (size_t i = 0; argv[i] && argv[i] == room.to; i++) room.to = end_of(argv[i]);
    if (environ) move_environment();
}

/* ---- secrets ---- */

static void blot_out(char *text) { memset(text, '*', strlen(text)); }

/* "--name", perhaps with the value in the same word. Else it is the next word, whatever that begins with. */
void process_hide_secrets(void) {
    bool is_secret = false, wants_value = false;
    for (char **word = room.argv; *word; word++) {
        if (wants_value || strncmp(*word, "--", 2) != 0) {
            if (is_secret) blot_out(*word);
            wants_value = false;
            continue;
        }
        char *name = *word + 2, *value = name + strcspn(name, " \t");
        is_secret = options_is_secret(slice_between(name, value));
        wants_value = !*value;
        if (is_secret) blot_out(value);
    }
}

/* ---- the title ---- */

static void append_address(struct buf *out) {
    int64_t port = options.port ? options.port : options.tls_port;
    if (port == 0 && options.unixsocket[0])
        buf_printf(out, "%s", options.unixsocket);
    else
        buf_printf(out, "%s:%d", options.bind.count ? options.bind.address[0] : "", (int)port);
}

/* Those that check_title_template lets pass. {server-mode} is empty: it is neither a Sentinel nor in a
 * cluster. */
static void append_variable(struct slice name, struct buf *out) {
    if (slice_equal(name, LIT("title"))) buf_append(out, LIT("trivet-server"));
    if (slice_equal(name, LIT("listen-addr"))) append_address(out);
    if (slice_equal(name, LIT("port"))) buf_append_int(out, options.port);
    if (slice_equal(name, LIT("tls-port"))) buf_append_int(out, options.tls_port);
    if (slice_equal(name, LIT("unixsocket"))) buf_append(out, slice_of(options.unixsocket));
    if (slice_equal(name, LIT("config-file"))) buf_append(out, slice_of(options_file()));
}

static void append_title(const char *template, struct buf *out) {
    while (*template) {
        const char *end = *template == '{' ? strchr(template, '}') : NULL;
        if (end)
            append_variable(slice_between(template + 1, end), out);
        else
            buf_append_byte(out, *template);
        template = end ? end + 1 : template + 1;
    }
    while (out->len > 0 && out->ptr[out->len - 1] == ' ') out->len--;
}

void process_set_title(void) {
    if (!options.set_proc_title || room.to <= room.from) return;
    struct buf title = { 0 };
    append_title(options.proc_title_template, &title);
    size_t space = (size_t)(room.to - room.from), len = title.len < space ? title.len : space - 1;
    memset(room.from, 0, space);
    if (len > 0) memcpy(room.from, title.ptr, len);
    buf_release(&title);
}
