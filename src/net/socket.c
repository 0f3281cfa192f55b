/* socket.c: see socket.h. */
#include "trivet/net/socket.h"
#include "trivet/base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t socket_read(int fd, void *to, size_t room) { return recv(fd, to, room, 0); }
ssize_t socket_read_vectors(int fd, struct iovec *to, int count) { return readv(fd, to, count); }

ssize_t socket_write_vectors(int fd, struct iovec *from, int count) {
    if (count == 1) return send(fd, from->iov_base, from->iov_len, MSG_NOSIGNAL);
    struct msghdr message = { .msg_iov = from, .msg_iovlen = (size_t)count };
    return sendmsg(fd, &message, MSG_NOSIGNAL);
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

void socket_no_delay(int fd) { set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"); }

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
