/* scripts.c: see scripts.h. */
#include "trivet/script/store/scripts.h"
#include "trivet/base/background.h"
#include "trivet/base/chain.h"
#include "trivet/base/hashing.h"
#include "trivet/base/map.h"
#include "trivet/base/mem.h"
#include "trivet/base/sha.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/script/run/busy.h"
#include "trivet/script/store/shebang.h"
#include <ctype.h>

struct script {
    struct map_link by_sha, by_source;
    struct chain_link in_brought; /* those that came by EVAL; else in no chain */
    struct script_subject subject;
    char sha[SHA1_HEX + 1];
    struct slice source;       /* owned */
    int function;              /* the interpreter's handle */
    atomic_uint_fast64_t used; /* the number of its last use */
};

static struct {
    struct interpreter *interpreter;
    struct map by_sha, by_source;
    /* The one that ran last, or NULL: most often it comes again. Any worker reads it, whoever has the script
     * turn writes it. */
    _Atomic(struct script *) last;
    struct chain brought;
    size_t brought_count;
    size_t memory;
    atomic_uint_fast64_t uses;
    uint64_t evicted;
} scripts;

void scripts_init(void) { scripts.interpreter = interpreter_new(INTERPRETER_EVAL); }

/* ---- names ---- */

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The first 16 digits of a SHA1 are as good as any hash. False if they are no digits. */
static bool hash_of_sha(struct slice sha, uint64_t *hash) {
    if (sha.len != SHA1_HEX) return false;
    *hash = 0;
    for (size_t i = 0; i < 16; i++) {
        int digit = digit_of(sha.ptr[i]);
        if (digit < 0) return false;
        *hash = *hash << 4 | (uint64_t)digit;
    }
    return true;
}

struct script *scripts_find(struct slice sha) {
    struct script *last = atomic_load_explicit(&scripts.last, memory_order_acquire);
    if (last && sha.len == SHA1_HEX && memcmp(sha.ptr, last->sha, SHA1_HEX) == 0) return last;
    uint64_t hash;
    if (!hash_of_sha(sha, &hash)) return NULL;
    MAP_EACH_OF(&scripts.by_sha, hash, struct script, by_sha, s)
    if (slice_equal_nocase(sha, slice_make(s->sha, SHA1_HEX))) return s;
    return NULL;
}

struct script *scripts_find_source(struct slice source) {
    struct script *last = atomic_load_explicit(&scripts.last, memory_order_acquire);
    if (last && slice_equal(source, last->source)) return last;
    MAP_EACH_OF(&scripts.by_source, hash_bytes(source), struct script, by_source, s)
    if (slice_equal(source, s->source)) return s;
    return NULL;
}

const struct script_subject *script_subject_of(const struct script *s) { return &s->subject; }
struct slice script_source(const struct script *s) {
    return s->source;
}

/* ---- coming and going ---- */

static size_t memory_of(const struct script *s) { return mem_size(s) + mem_size(s->source.ptr); }

static void script_free(struct script *s) {
    mem_free(unconst(s->source.ptr));
    mem_free(s);
}

static void take_out(struct script *s) {
    if (scripts.last == s) scripts.last = NULL;
    map_remove(&scripts.by_sha, &s->by_sha);
    map_remove(&scripts.by_source, &s->by_source);
    if (chain_link_is_linked(&s->in_brought)) {
        chain_remove(&scripts.brought, &s->in_brought);
        scripts.brought_count--;
    }
    scripts.memory -= memory_of(s);
}

/* Drops the one that was not used for the longest time. */
static void evict_one(void) {
    struct script *oldest = CHAIN_FIRST(&scripts.brought, struct script, in_brought);
    CHAIN_EACH(&scripts.brought, struct script, in_brought, s)
    if (s->used < oldest->used) oldest = s;
    take_out(oldest);
    interpreter_forget(scripts.interpreter, oldest->function);
    script_free(oldest);
    scripts.evicted++;
}

static void put_in(struct script *s, bool stays) {
    uint64_t hash = 0;
    bool has_hash = hash_of_sha(slice_make(s->sha, SHA1_HEX), &hash);
    assert(has_hash);
    map_insert(&scripts.by_sha, &s->by_sha, hash);
    map_insert(&scripts.by_source, &s->by_source, hash_bytes(s->source));
    scripts.memory += memory_of(s);
    if (stays) return;
    chain_insert_last(&scripts.brought, &s->in_brought);
    scripts.brought_count++;
    while (scripts.brought_count > SCRIPTS_BY_EVAL_MAX) evict_one();
}

static struct script *script_new(struct slice source, struct buf *error) {
    struct shebang line;
    if (!shebang_of_script(source, &line, error)) return NULL;
    struct buf why = { 0 };
    struct slice code = slice_make(source.ptr + line.len, source.len - line.len);
    int function = interpreter_compile(scripts.interpreter, code, &why);
    if (function == NO_HANDLE) {
        buf_printf(error, "ERR Error compiling script (new function): %.*s", SLICE_ARG(buf_slice(&why)));
        buf_release(&why);
        return NULL;
    }
    struct script *s = mem_alloc_zero(sizeof *s);
    sha1_hex(source, s->sha);
    s->subject.name = s->sha;
    s->subject.flags = line.flags;
    s->source = slice_make(slice_to_cstr(source), source.len);
    s->function = function;
    s->used = ++scripts.uses;
    return s;
}

struct script *scripts_add(struct slice source, bool stays, struct buf *error) {
    assert(exclusive_is_mine());
    struct script *s = scripts_find_source(source);
    if (!s) {
        s = script_new(source, error);
        if (s) put_in(s, stays);
    } else if (stays && chain_link_is_linked(&s->in_brought)) {
        chain_remove(&scripts.brought, &s->in_brought);
        scripts.brought_count--;
    }
    return s;
}

static void free_interpreter(void *interpreter) { interpreter_free(interpreter); }

static void drop_link(struct map_link *link) { script_free(MAP_ITEM(link, struct script, by_sha)); }

static void drop_all(void) {
    map_each(&scripts.by_sha, drop_link);
    map_release(&scripts.by_sha);
    map_release(&scripts.by_source);
    scripts.last = NULL;
    scripts.brought = (struct chain){ NULL, NULL };
    scripts.brought_count = scripts.memory = 0;
}

void scripts_flush(bool later) {
    assert(exclusive_is_mine());
    drop_all();
    if (later)
        background_post(free_interpreter, scripts.interpreter, 1);
    else
        interpreter_free(scripts.interpreter);
    scripts.interpreter = interpreter_new(INTERPRETER_EVAL);
}

void scripts_release(void) {
    drop_all();
    interpreter_free(scripts.interpreter);
    scripts.interpreter = NULL;
}

/* ---- running ---- */

void script_run(struct script *s, struct call *caller, const struct script_arguments *with, bool reads_only) {
    struct script_run run;
    if (!script_admit(caller, &s->subject, reads_only)) return;
    s->used = ++scripts.uses;
    atomic_store_explicit(&scripts.last, s, memory_order_release);
    script_run_begin(&run, caller, &s->subject, reads_only);
    interpreter_run(scripts.interpreter, s->function, &run, with->keys, with->key_count, with->args,
                    with->arg_count);
    script_run_end(&run);
}

void scripts_info(struct scripts_info *out) {
    *out = (struct scripts_info){ .count = scripts.by_sha.count,
                                  .memory = scripts.memory + map_memory(&scripts.by_sha) +
                                            map_memory(&scripts.by_source),
                                  .interpreter = interpreter_memory(scripts.interpreter),
                                  .evicted = scripts.evicted };
}
