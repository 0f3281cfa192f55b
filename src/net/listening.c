/* listening.c: opens the sockets of the settings port, tls-port, bind and unixsocket. See listening.h. */
#include "listening.h"
#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static_assert(LISTENERS_MAX == OPTIONS_BIND_MAX * 2 * 2 + 1, "a list has room for all that can be bound");

static bool explain(struct buf *error, const char *what, const char *where, const char *why) {
    buf_printf(error, "%s %s: %s", what, where, why);
    return false;
}

static int port_of(enum listener_kind kind) {
    return (int)(kind == LISTEN_TLS ? options.tls_port : options.port);
}

static bool open_all(const struct listener_list *old, struct listener_list *out, enum listener_kind kind,
                     struct buf *error) {
    struct listening_wish wish = { .words = options.bind.address,
                                   .count = options.bind.count,
                                   .port = port_of(kind),
                                   .kind = kind,
                                   .backlog = (int)options.tcp_backlog,
                                   .setting = "bind" };
    return wish.port == 0 || listening_open(old, out, &wish, error);
}

bool listening_open_tcp(const struct listener_list *old, struct listener_list *out, struct buf *error) {
    static const enum listener_kind kinds[] = { LISTEN_TCP, LISTEN_TLS };
    struct buf why = { 0 };
    assert(out->count == 0);
    size_t opened = 0;
    while (opened < COUNT_OF(kinds) && open_all(old, out, kinds[opened], &why)) opened++;
    if (opened == COUNT_OF(kinds)) return true;
    buf_printf(error, "Failed listening on port %d (%s): %.*s", port_of(kinds[opened]),
               kinds[opened] == LISTEN_TLS ? "tls" : "tcp", SLICE_ARG(buf_slice(&why)));
    buf_release(&why);
    listening_drop_new(old, out);
    return false;
}

/* ---- The unix socket ---- */

static bool set_unix_rights(const char *path, struct buf *error) {
    if (options.unixsocketperm && chmod(path, (mode_t)options.unixsocketperm) != 0)
        return explain(error, "Could not set the permissions of the unix socket", path, strerror(errno));
    if (!options.unixsocketgroup[0]) return true;
    struct group *group = getgrnam(options.unixsocketgroup);
    if (!group)
        return explain(error, "No such group for the unix socket:", options.unixsocketgroup, "unknown");
    if (chown(path, (uid_t)-1, group->gr_gid) == 0) return true;
    return explain(error, "Could not give the unix socket to its group", path, strerror(errno));
}

bool listening_open_unix(struct listener_list *out, struct buf *error) {
    assert(out->count < LISTENERS_MAX);
    const char *path = options.unixsocket;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) return explain(error, "Unix socket path", path, "too long");
    strcpy(address.sun_path, path);
    unlink(path); /* left over by a server that was killed */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        !set_unix_rights(path, error) || listen(fd, (int)options.tcp_backlog) != 0) {
        if (error->len == 0) explain(error, "Could not open the unix socket", path, strerror(errno));
        if (fd >= 0) close(fd);
        return false;
    }
    out->at[out->count++] = (struct listener){ .fd = fd, .kind = LISTEN_UNIX };
    return true;
}
