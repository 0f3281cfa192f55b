/* routes.c: see routes.h. */
#include "trivet/engine/slots/routes.h"
#include "trivet/base/compiler.h"
#include "trivet/base/mem.h"
#include "trivet/engine/turn/turn.h"
#include <assert.h>
#include <string.h>

struct routes *routes;
bool routes_are_moving;
uint64_t routes_served[SLOT_COUNT / 64] CACHE_ALIGNED;

struct routes *routes_new(void) {
    struct routes *r = mem_alloc_zero(sizeof *r);
    r->nodes = mem_alloc_zero(sizeof *r->nodes);
    r->node_count = 1; /* nobody */
    return r;
}

uint16_t routes_add(struct routes *r, const struct node_id *id, struct slice host, uint16_t port,
                    uint16_t tls_port) {
    assert(r->node_count < UINT16_MAX);
    uint16_t number = r->node_count++;
    r->nodes = mem_realloc(r->nodes, r->node_count * sizeof *r->nodes);
    r->nodes[number] = (struct route_node){ .id = *id, .port = port, .tls_port = tls_port };
    buf_append(&r->nodes[number].host, host);
    return number;
}

bool routes_know(const struct routes *r, const struct node_id *id) {
    for (uint16_t i = ROUTE_MYSELF; i < r->node_count; i++)
        if (node_id_equal(&r->nodes[i].id, id)) return true;
    return false;
}

void routes_free(struct routes *r) {
    if (!r) return;
    for (uint16_t i = 0; i < r->node_count; i++) buf_release(&r->nodes[i].host);
    mem_free(r->nodes);
    mem_free(r);
}

static void note_served(const struct routes *r) {
    memset(routes_served, 0, sizeof routes_served);
    if (!r || !r->is_up) return;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (r->owner[slot] == ROUTE_MYSELF) routes_served[slot / 64] |= UINT64_C(1) << slot % 64;
}

void routes_replace(struct routes *r) {
    note_served(r);
    routes_free(routes);
    routes = r;
    routes_are_moving = r && r->moving_count > 0;
    obstacle_set(OBSTACLE_CLUSTER, r != NULL);
}
