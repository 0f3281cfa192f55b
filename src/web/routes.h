/* routes.h: what is at which path, and what its visitors are told. Thread: the web thread. */
#ifndef WEB_ROUTES_H
#define WEB_ROUTES_H

#include "connection.h"
#include "errand.h"

void route_request(struct http_conn *c, const struct http_request *r);
/* Worker 0 did not answer in time. */
void route_late(struct http_conn *c);
/* It did. */
void route_answer(const struct question *q, struct blob *metrics);

#endif
