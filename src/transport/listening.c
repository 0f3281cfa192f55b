/* listening.c: see listening.h.
 *
 * A change opens the new sockets while the old ones still listen, so that a failure changes nothing. An old
 * socket may block a new one: "*" holds the port of "127.0.0.1" too. Then both get SO_REUSEPORT for the time
 * of the exchange. No other socket gets it, so an address that another process holds is still an error. */
#include "trivet/transport/listening.h"
#include "trivet/base/slice.h"
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool explain(struct buf *error, const char *what, const char *where, const char *why) {
    buf_printf(error, "%s %s: %s", what, where, why);
    return false;
}

/* ---- Addresses ---- */

static const void *host_bytes(const struct sockaddr_storage *a, size_t *size) {
    if (a->ss_family == AF_INET) {
        *size = sizeof(struct in_addr);
        return &((const struct sockaddr_in *)(const void *)a)->sin_addr;
    }
    *size = sizeof(struct in6_addr);
    return &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
}

/* The port, and the interface of a link-local address. */
static bool same_port(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (a->ss_family != b->ss_family) return false;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    if (a->ss_family == AF_INET6)
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id;
    return ((const struct sockaddr_in *)(const void *)a)->sin_port ==
           ((const struct sockaddr_in *)(const void *)b)->sin_port;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (!same_port(a, b)) return false;
    size_t size;
    const void *host = host_bytes(a, &size);
    return memcmp(host, host_bytes(b, &size), size) == 0;
}

static bool is_wildcard(const struct sockaddr_storage *a) {
    static const struct in6_addr zero;
    size_t size;
    const void *host = host_bytes(a, &size);
    return memcmp(host, &zero, size) == 0;
}

/* Two sockets that cannot listen side by side, though their addresses differ. */
static bool collide(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    return same_port(a, b) && (is_wildcard(a) || is_wildcard(b));
}

static const struct listener *find_address(const struct listener_list *list,
                                           const struct sockaddr_storage *address) {
    for (size_t i = 0; i < list->count; i++)
        if (same_address(&list->at[i].address, address)) return &list->at[i];
    return NULL;
}

static bool any_collides(const struct listener_list *list, const struct sockaddr_storage *address) {
    for (size_t i = 0; i < list->count; i++)
        if (collide(&list->at[i].address, address)) return true;
    return false;
}

bool listening_has(const struct listener_list *list, int fd) {
    for (size_t i = 0; i < list->count; i++)
        if (list->at[i].fd == fd) return true;
    return false;
}

/* ---- Sockets ---- */

static bool set_flag(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* -1 and errno. */
static int open_socket(const struct addrinfo *info, int backlog, bool beside_old) {
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);
    if (fd < 0) return -1;
    bool is_v6 = info->ai_family == AF_INET6;
    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
        (!beside_old || set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        (!is_v6 || set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* Turns SO_REUSEPORT on or off for the old sockets that collide with this address. False if one failed. */
static bool share_with_old(const struct listener_list *old, const struct sockaddr_storage *address, bool on) {
    bool done = true;
    for (size_t i = 0; i < old->count; i++)
        if (collide(&old->at[i].address, address))
            done &= set_flag(old->at[i].fd, SOL_SOCKET, SO_REUSEPORT, on);
    return done;
}

static int open_beside(const struct listener_list *old, const struct addrinfo *info, int backlog,
                       const struct sockaddr_storage *address) {
    bool beside_old = any_collides(old, address);
    if (beside_old && !share_with_old(old, address, true)) return -1;
    int fd = open_socket(info, backlog, beside_old);
    int why = errno;
    if (beside_old) {
        share_with_old(old, address, false);
        if (fd >= 0) set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 0);
    }
    errno = why;
    return fd;
}

/* One address that a name stood for: taken from `old`, whatever spoke there, or opened. False with errno. */
static bool add_address(const struct listener_list *old, struct listener_list *out,
                        const struct listening_wish *wish, const struct addrinfo *info) {
    struct sockaddr_storage address = { 0 };
    assert(info->ai_addrlen <= sizeof address && out->count < LISTENERS_MAX);
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    const struct listener *twin = find_address(out, &address);
    if (twin && twin->kind == wish->kind) return true; /* named twice */
    if (any_collides(out, &address) || twin) {
        errno = EADDRINUSE;
        return false;
    }
    const struct listener *known = find_address(old, &address);
    struct listener l = known ? *known : (struct listener){ .address = address };
    if (!known) l.fd = open_beside(old, info, wish->backlog, &address);
    if (l.fd < 0) return false;
    l.kind = wish->kind;
    out->at[out->count++] = l;
    return true;
}

/* "*" is every IPv4 address, "::*" every IPv6 one. */
static const char *host_of(const char *address, int *family) {
    *family = AF_UNSPEC;
    if (strcmp(address, "*") == 0) {
        *family = AF_INET;
        return NULL;
    }
    if (strcmp(address, "::*") == 0) {
        *family = AF_INET6;
        return NULL;
    }
    return address;
}

/* One word: a name stands for one or more addresses, of which one must do. */
static bool open_word(const struct listener_list *old, struct listener_list *out,
                      const struct listening_wish *wish, const char *word, struct buf *error) {
    bool optional = word[0] == '-';
    if (optional) word++;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found;
    const char *host = host_of(word, &hints.ai_family);
    char port[8], where[256];
    snprintf(port, sizeof port, "%d", wish->port);
    snprintf(where, sizeof where, "%s:%s", word, port);
    int bad = getaddrinfo(host, port, &hints, &found);
    if (bad)
        return optional ||
               explain(error, "Could not resolve the address to listen on,", where, gai_strerror(bad));
    bool any = false;
    int why = 0;
    for (struct addrinfo *info = found; info && out->count < LISTENERS_MAX; info = info->ai_next) {
        if (add_address(old, out, wish, info))
            any = true;
        else
            why = errno;
    }
    freeaddrinfo(found);
    bool missing = why == EADDRNOTAVAIL || why == EAFNOSUPPORT || why == EPROTONOSUPPORT;
    if (any || (optional && missing)) return true;
    return explain(error, "Could not create server TCP listening socket", where, strerror(why));
}

bool listening_open(const struct listener_list *old, struct listener_list *out,
                    const struct listening_wish *wish, struct buf *error) {
    size_t before = out->count;
    for (size_t i = 0; i < wish->count; i++)
        if (!open_word(old, out, wish, wish->words[i], error)) return false;
    if (wish->count == 0 || out->count > before) return true;
    buf_printf(error, "None of the addresses in '%s' could be listened on", wish->setting);
    return false;
}

void listening_drop_new(const struct listener_list *old, struct listener_list *out) {
    for (size_t i = 0; i < out->count; i++)
        if (!listening_has(old, out->at[i].fd)) close(out->at[i].fd);
    out->count = 0;
}
