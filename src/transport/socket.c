/* socket.c: see socket.h. */
#include "trivet/transport/socket.h"
#include "trivet/base/file.h"
#include "trivet/base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ssize_t socket_read_vectors(struct socket *s, const struct iovec *to, int count) {
    if (!s->tls) return readv(s->fd, to, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = tls_read(s->tls, to[i].iov_base, to[i].iov_len);
        if (got <= 0) return sum > 0 ? sum : got; /* an end or an error shows again at the next read */
        sum += got;
        if ((size_t)got < to[i].iov_len) break;
    }
    return sum;
}

ssize_t socket_write_vectors(struct socket *s, struct iovec *from, int count) {
    if (UNLIKELY(s->tls != NULL)) return tls_write_vectors(s->tls, from, count);
    if (count == 1) return send(s->fd, from->iov_base, from->iov_len, MSG_NOSIGNAL);
    struct msghdr message = { .msg_iov = from, .msg_iovlen = (size_t)count };
    return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

const char *socket_error(const struct socket *s) {
    if (s->tls && errno == EPROTO) return tls_error(s->tls);
    return file_errno_text(errno);
}

void socket_close(struct socket *s) {
    if (s->tls) tls_free(s->tls);
    close(s->fd);
    *s = (struct socket){ .fd = -1 };
}

static void set_int(int fd, int level, int name, int value, const char *what) {
    if (setsockopt(fd, level, name, &value, sizeof value) != 0)
        LOG_VERBOSE("setsockopt %s: %s", what, strerror(errno));
}

void socket_keepalive(int fd, int64_t seconds) {
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0, "SO_KEEPALIVE");
    if (seconds <= 0) return;
    int probe_every = seconds / 3 > 0 ? (int)(seconds / 3) : 1;
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)seconds, "TCP_KEEPIDLE");
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_every, "TCP_KEEPINTVL");
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3, "TCP_KEEPCNT");
}

void socket_set_delay(int fd, bool on) { set_int(fd, IPPROTO_TCP, TCP_NODELAY, !on, "TCP_NODELAY"); }

/* As Redis and Valkey do, a source that will not do is no obstacle: it may be of the other family of
 * addresses. */
void socket_come_from(int fd, int family, const char *source) {
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST },
                    *from;
    if (!source[0]) return;
    int failure = getaddrinfo(source, NULL, &hints, &from);
    const char *why = failure == 0 ? NULL : gai_strerror(failure);
    if (failure == 0 && bind(fd, from->ai_addr, from->ai_addrlen) != 0) why = file_errno_text(errno);
    if (failure == 0) freeaddrinfo(from);
    if (why) LOG_WARNING("Can't connect from %s, so the system chooses an address: %s", source, why);
}

/* ---- names ---- */

static void format_address(const struct sockaddr_storage *a, char out[64]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, 64, "%s:%d", host, ntohs(in->sin_port));
    } else {
        const struct sockaddr_in6 *in6 = (const void *)a;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, 64, "[%s]:%d", host, ntohs(in6->sin6_port));
    }
}

bool socket_address_is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->ss_family != AF_INET6) return true;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

void socket_addresses(int fd, const char *unix_path, char peer[64], char local[64]) {
    if (unix_path) {
        snprintf(peer, 64, "%.60s:0", unix_path);
        snprintf(local, 64, "%.60s:0", unix_path);
        return;
    }
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof a;
    strcpy(peer, "?:0");
    strcpy(local, "?:0");
    if (getpeername(fd, (struct sockaddr *)&a, &len) == 0) format_address(&a, peer);
    len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) == 0) format_address(&a, local);
}
