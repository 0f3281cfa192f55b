/* kept.c: see kept.h. */
#include "trivet/engine/command/kept.h"
#include "trivet/base/mem.h"

/* References to the call's big arguments. */
static struct blob **share_blobs(const struct call *call) {
    if (!call->blobs) return NULL;
    struct blob **blobs = mem_alloc_zero(call->argc * sizeof(struct blob *));
    for (size_t i = 0; i < call->argc; i++)
        if (call->blobs[i]) blobs[i] = blob_ref(call->blobs[i]);
    return blobs;
}

static bool is_shared(const struct kept *k, size_t i) { return k->blobs && k->blobs[i]; }

struct kept *kept_new(const struct call *call) {
    assert(call->command && call->argc > 0);
    struct kept *k = mem_alloc_zero(sizeof *k);
    k->command = call->command;
    k->argc = call->argc;
    k->blobs = share_blobs(call);
    size_t room = call->argc * sizeof(struct slice);
    for (size_t i = 0; i < call->argc; i++) {
        k->bytes += call->argv[i].len;
        if (!is_shared(k, i)) room += call->argv[i].len;
    }
    k->argv = mem_alloc(room);
    k->memory = call->argc * sizeof(struct slice) + k->bytes;
    char *at = (char *)(k->argv + call->argc);
    for (size_t i = 0; i < call->argc; i++) {
        k->argv[i] = call->argv[i];
        if (is_shared(k, i)) continue;
        if (call->argv[i].len) memcpy(at, call->argv[i].ptr, call->argv[i].len);
        k->argv[i].ptr = at;
        at += call->argv[i].len;
    }
    command_keys_resolve(&k->keys, k->command, k->argv, k->argc);
    return k;
}

void kept_free(struct kept *k) {
    for (size_t i = 0; k->blobs && i < k->argc; i++) blob_unref(k->blobs[i]);
    mem_free(k->blobs);
    mem_free(k->argv);
    command_keys_release(&k->keys);
    mem_free(k);
}
