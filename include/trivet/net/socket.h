/* socket.h: the few system calls on connected sockets, in one place, so that TLS can replace them. All are
 * non-blocking and report like the calls they wrap (-1 and errno). Thread: any. */
#ifndef TRIVET_NET_SOCKET_H
#define TRIVET_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t socket_read(int fd, void *to, size_t room);
ssize_t socket_read_vectors(int fd, struct iovec *to, int count);
ssize_t socket_write_vectors(int fd, struct iovec *from, int count);
/* Keepalive probes after `seconds` of silence; 0 turns them off. */
void socket_keepalive(int fd, int64_t seconds);
void socket_no_delay(int fd);
/* Both ends of a connected socket as CLIENT LIST shows them: "1.2.3.4:5", "[::1]:5", "/path:0", of which at
 * most 60 bytes of the path. `unix_path` is NULL for TCP. "?:0" is an end that the system does not know. */
void socket_addresses(int fd, const char *unix_path, char peer[64], char local[64]);

#endif
