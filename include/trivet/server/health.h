/* health.h: `trivet-server health`: would a server serve a client now? For health checks of containers and
 * probes.
 *
 * A small client that blocks, of Trivet, Redis and Valkey alike. Main thread of a program that does nothing
 * else; it may end the process. */
#ifndef TRIVET_SERVER_HEALTH_H
#define TRIVET_SERVER_HEALTH_H

/* The arguments after "health". Writes one line: "ready" or "live" to standard output, or why not to standard
 * error. The exit status: 0 healthy, 1 not, 2 the question is wrong. */
int health(int argc, char **argv);

#endif
