/* proxy.h: stands between a replica and its primary and makes their network a bad one: it cuts, holds up,
 * slows down and chops what it carries.
 *
 * What is random comes from the seed: the n-th connection of equal seeds is cut at the same byte. Orders hold
 * for all connections, the present ones too, but a random cut only for those that come later. Thread: a
 * thread of its own carries the bytes; orders come from the test's. */
#ifndef TESTS_HARNESS_PROXY_H
#define TESTS_HARNESS_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum proxy_way { PROXY_TO_TARGET, PROXY_TO_CLIENT, PROXY_WAYS };

struct proxy;

/* To a port of 127.0.0.1. Prints the seed, which is seen if the test fails. */
struct proxy *proxy_start(int target_port, uint64_t seed);
void proxy_stop(struct proxy *p); /* may be NULL */
int proxy_port(const struct proxy *p);

/* Where later connections go. */
void proxy_aim(struct proxy *p, int target_port);
/* All connections end now. */
void proxy_cut(struct proxy *p);
/* Each later connection ends, in good order or by a reset, after at most so many bytes of one of the two
 * ways; a part of them after very few. 0: they stay. */
void proxy_cut_randomly(struct proxy *p, size_t most);
/* Later connections are closed at once, as by a host without such a server. */
void proxy_refuse(struct proxy *p, bool on);
/* Nothing is carried, but nothing closed either. */
void proxy_stall(struct proxy *p, bool on);
/* At most `chunk` bytes in one piece, then a pause. 0: no limit. */
void proxy_pace(struct proxy *p, size_t chunk, int64_t pause_us);

/* What happened so far: connections accepted, those that were cut, and bytes carried. */
size_t proxy_connections(struct proxy *p);
size_t proxy_cuts(struct proxy *p);
uint64_t proxy_carried(struct proxy *p, enum proxy_way way);

#endif
