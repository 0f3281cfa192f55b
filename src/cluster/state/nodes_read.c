/* nodes_read.c: the state from lines of text. The lines refer to each other in any order, so they are walked
 * twice: first all nodes are made, then their primaries and slots are filled in. What has a wrong form is
 * refused: a file that is half understood would lose slots or votes. */
#include "trivet/base/number.h"
#include "trivet/cluster/state/nodes_file.h"

struct reading {
    struct cluster_state *s;
    struct nodes_file_rules rules;
    int64_t now_ms;
    struct buf *error;
    size_t line; /* from 1 */
    bool has_variables;
};

static bool refuse(struct reading *r, const char *why, struct slice what) {
    if (what.len > 80) what.len = 80;
    buf_printf(r->error, "line %zu: %s: '%.*s'", r->line, why, SLICE_ARG(what));
    return false;
}

/* Cuts what stands before the next `end` off `rest`; the whole rest if there is none. False, and an empty
 * piece, at the end. */
static bool cut(struct slice *rest, char end, struct slice *out) {
    *out = LIT("");
    if (rest->len == 0) return false;
    const char *at = memchr(rest->ptr, end, rest->len);
    *out = at ? slice_between(rest->ptr, at) : *rest;
    *rest = slice_from(*rest, out->len + 1);
    return true;
}

static bool parse_u16(struct slice text, uint16_t *out) {
    uint64_t n;
    if (!uint64_parse(text, &n) || n > UINT16_MAX) return false;
    *out = (uint16_t)n;
    return true;
}

/* ---- address: ip:port@busport,hostname,name=value,... ---- */

static const char *last_of(struct slice text, char c) {
    return text.len ? memrchr(text.ptr, c, text.len) : NULL;
}

static bool read_endpoint(struct slice text, struct cluster_node *n) {
    const char *colon = last_of(text, ':');
    if (!colon) return false;
    struct slice ip = slice_between(text.ptr, colon);
    struct slice ports = slice_from(text, ip.len + 1), port;
    if (ip.len > NODE_IP_SIZE - 1 || !cut(&ports, '@', &port) || !parse_u16(port, &n->port)) return false;
    n->ip = node_ip_make(ip);
    if (ports.len > 0) return parse_u16(ports, &n->cport);
    if (n->port > UINT16_MAX - 10000) return false;
    n->cport = (uint16_t)(n->port + 10000); /* as files were before there was a bus port in them */
    return true;
}

/* A field whose name is not known is passed over, as newer servers add some. */
static bool read_aux(struct reading *r, struct cluster_node *n, struct slice field) {
    struct slice name, value = field;
    if (!cut(&value, '=', &name) || name.len == field.len) return false;
    if (slice_equal(name, LIT("shard-id"))) return node_id_parse(value, &n->shard_id);
    if (slice_equal(name, LIT("client-tcp-port"))) return parse_u16(value, &n->client_port);
    if (slice_equal(name, LIT("client-tls-port"))) return parse_u16(value, &n->client_tls_port);
    if (slice_equal(name, r->rules.ports_are_tls ? LIT("tcp-port") : LIT("tls-port")))
        return parse_u16(value, &n->pport);
    static const struct {
        struct slice name;
        enum node_text text;
    } texts[] = {
        { LIT_INIT("nodename"), NODE_HUMAN_NAME },
        { LIT_INIT("client-ipv4"), NODE_CLIENT_IPV4 },
        { LIT_INIT("client-ipv6"), NODE_CLIENT_IPV6 },
        { LIT_INIT("availability-zone"), NODE_ZONE },
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (slice_equal(name, texts[i].name)) node_set_text(n, texts[i].text, value);
    return true;
}

static bool read_address(struct reading *r, struct cluster_node *n, struct slice text) {
    struct slice part;
    if (!cut(&text, ',', &part) || !read_endpoint(part, n)) return refuse(r, "no address", part);
    if (cut(&text, ',', &part)) node_set_text(n, NODE_HOSTNAME, part);
    while (cut(&text, ',', &part))
        if (!read_aux(r, n, part)) return refuse(r, "no field of an address", part);
    return true;
}

/* ---- the first walk ---- */

static bool read_flags(struct slice text, unsigned *out) {
    static const struct {
        struct slice name;
        unsigned flag;
    } names[] = {
        { LIT_INIT("myself"), NODE_SELF },   { LIT_INIT("master"), NODE_PRIMARY },
        { LIT_INIT("slave"), NODE_REPLICA }, { LIT_INIT("fail?"), NODE_PFAIL },
        { LIT_INIT("fail"), NODE_FAIL },     { LIT_INIT("handshake"), NODE_HANDSHAKE },
        { LIT_INIT("noaddr"), NODE_NOADDR }, { LIT_INIT("nofailover"), NODE_NOFAILOVER },
        { LIT_INIT("noflags"), 0 },
    };
    struct slice word;
    while (cut(&text, ',', &word)) {
        size_t i = 0;
        while (i < COUNT_OF(names) && !slice_equal(names[i].name, word)) i++;
        if (i == COUNT_OF(names)) return false;
        *out |= names[i].flag;
    }
    return (*out & (NODE_PRIMARY | NODE_REPLICA)) != (NODE_PRIMARY | NODE_REPLICA);
}

static bool read_variables(struct reading *r, struct slice line) {
    struct slice name, value;
    r->has_variables = true;
    while (cut(&line, ' ', &name)) {
        uint64_t n;
        if (!cut(&line, ' ', &value) || !uint64_parse(value, &n)) return refuse(r, "no variable", name);
        if (slice_equal(name, LIT("currentEpoch")))
            r->s->current_epoch = n;
        else if (slice_equal(name, LIT("lastVoteEpoch")))
            r->s->last_vote_epoch = n;
        else
            return refuse(r, "an unknown variable", name);
    }
    return true;
}

static bool make_node(struct reading *r, struct slice line) {
    struct slice word;
    struct node_id id;
    unsigned flags = 0;
    if (!cut(&line, ' ', &word) || !node_id_parse(word, &id)) return refuse(r, "no name of a node", word);
    if (cluster_node_find(r->s, &id)) return refuse(r, "a node twice", word);
    struct cluster_node *n = cluster_node_add(r->s, &id, 0, r->now_ms);
    if (!cut(&line, ' ', &word)) return refuse(r, "no address", line);
    if (!read_address(r, n, word)) return false;
    if (!cut(&line, ' ', &word) || !read_flags(word, &flags)) return refuse(r, "no flags", word);
    n->flags = flags;
    if (flags & NODE_FAIL) n->fail_ms = r->now_ms;
    if (!(flags & NODE_SELF)) return true;
    if (r->s->self) return refuse(r, "two nodes are this one", word);
    r->s->self = n;
    return true;
}

/* ---- the second walk ---- */

static bool read_slot_number(struct slice text, unsigned *out) {
    uint64_t n;
    if (!uint64_parse(text, &n) || n >= SLOT_COUNT) return false;
    *out = (unsigned)n;
    return true;
}

/* "[77->-id]" or "[77-<-id]", without the brackets. */
static bool read_open_slot(struct reading *r, struct slice text) {
    struct slice number;
    struct node_id id;
    unsigned slot;
    if (!cut(&text, '-', &number) || !read_slot_number(number, &slot) || text.len < 3) return false;
    if ((text.ptr[0] != '<' && text.ptr[0] != '>') || text.ptr[1] != '-') return false;
    if (!node_id_parse(slice_from(text, 2), &id)) return false;
    struct cluster_node *other = cluster_node_find(r->s, &id);
    if (other == r->s->self) return false;
    /* A node in handshake is not written, though a slot may be open to it. */
    if (other) cluster_slot_open(r->s, slot, text.ptr[0] == '<', other);
    return true;
}

static bool read_range(struct reading *r, struct cluster_node *n, struct slice text) {
    struct slice from;
    unsigned first, last;
    if (!cut(&text, '-', &from) || !read_slot_number(from, &first)) return false;
    last = first;
    if (text.len > 0 && !read_slot_number(text, &last)) return false;
    if (last < first || !node_is_primary(n)) return false;
    for (unsigned slot = first; slot <= last; slot++) {
        if (r->s->owners[slot]) return false; /* two owners: which of them is the right one? */
        cluster_slot_give(r->s, slot, n);
    }
    return true;
}

static bool read_slots(struct reading *r, struct cluster_node *n, struct slice line) {
    struct slice word;
    while (cut(&line, ' ', &word)) {
        bool open = word.len > 2 && word.ptr[0] == '[' && word.ptr[word.len - 1] == ']';
        if (open ? !read_open_slot(r, slice_make(word.ptr + 1, word.len - 2)) : !read_range(r, n, word))
            return refuse(r, "no slots", word);
    }
    return true;
}

static bool read_primary(struct reading *r, struct cluster_node *n, struct slice word) {
    struct node_id id;
    if (slice_equal(word, LIT("-"))) return true;
    if (!node_id_parse(word, &id) || !node_is_replica(n)) return refuse(r, "no primary", word);
    struct cluster_node *primary = cluster_node_find(r->s, &id);
    if (primary == n) return refuse(r, "a replica of itself", word);
    if (primary) cluster_node_make_replica(r->s, n, primary);
    return true;
}

static bool fill_node(struct reading *r, struct slice line) {
    struct slice id, address, flags, primary, ping, pong, epoch, link;
    struct node_id name;
    int64_t ping_ms, pong_ms;
    bool whole = cut(&line, ' ', &id) && cut(&line, ' ', &address) && cut(&line, ' ', &flags) &&
                 cut(&line, ' ', &primary) && cut(&line, ' ', &ping) && cut(&line, ' ', &pong) &&
                 cut(&line, ' ', &epoch) && cut(&line, ' ', &link);
    if (!whole || !node_id_parse(id, &name)) return refuse(r, "a line that ends early", id);
    struct cluster_node *n = cluster_node_find(r->s, &name);
    if (!int64_parse(ping, &ping_ms) || !int64_parse(pong, &pong_ms)) return refuse(r, "no time", ping);
    if (!uint64_parse(epoch, &n->config_epoch)) return refuse(r, "no epoch", epoch);
    /* An old ping would be held against a node that nobody has asked since. */
    if (ping_ms) n->ping_sent_ms = r->now_ms;
    if (pong_ms) n->pong_received_ms = r->now_ms;
    /* A replica's line has the epoch of its primary. */
    if (node_is_replica(n) && n != r->s->self) n->config_epoch = 0;
    return read_primary(r, n, primary) && read_slots(r, n, line);
}

/* ---- the file ---- */

static bool walk(struct reading *r, struct slice text, bool (*each)(struct reading *, struct slice)) {
    struct slice line;
    r->line = 0;
    while (cut(&text, '\n', &line)) {
        r->line++;
        bool variables = slice_starts_with(line, LIT("vars "));
        if (line.len == 0 || (variables && each != make_node)) continue;
        if (!(variables ? read_variables(r, slice_from(line, 5)) : each(r, line))) return false;
    }
    return true;
}

static bool read_all(struct reading *r, struct slice text) {
    if (text.len == 0 || text.ptr[text.len - 1] != '\n') return refuse(r, "cut off", LIT(""));
    if (!walk(r, text, make_node)) return false;
    if (!r->s->self) return refuse(r, "no node is this one", LIT(""));
    if (!(r->s->self->flags & (NODE_PRIMARY | NODE_REPLICA)))
        return refuse(r, "this node is neither primary nor replica", LIT(""));
    if (!walk(r, text, fill_node)) return false;
    /* Files of Redis 7.0 have no shards: then a primary's name is that of its shard. */
    for (size_t i = 0; i < r->s->node_count; i++)
        if (node_is_primary(r->s->nodes[i]))
            (void)cluster_node_set_shard(r->s->nodes[i], &r->s->nodes[i]->shard_id);
    /* They come last: a file that was cut off would forget votes. */
    if (!r->has_variables) return refuse(r, "no variables", LIT(""));
    for (size_t i = 0; i < r->s->node_count; i++)
        if (r->s->nodes[i]->config_epoch > r->s->current_epoch)
            r->s->current_epoch = r->s->nodes[i]->config_epoch;
    return true;
}

bool nodes_file_read(struct cluster_state *s, struct slice text, struct nodes_file_rules rules,
                     int64_t now_ms, struct buf *error) {
    memset(s, 0, sizeof *s);
    struct reading r = { .s = s, .rules = rules, .now_ms = now_ms, .error = error };
    if (read_all(&r, text)) return true;
    cluster_state_release(s);
    return false;
}
