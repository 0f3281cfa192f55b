/* functions.c: see functions.h.
 *
 * Libraries are loaded into a *shelf* of their own first. Only when all of them are good, and no name is
 * taken twice, the shelf's libraries take their places. So an error changes nothing. */
#include "trivet/script/store/functions.h"
#include "trivet/base/background.h"
#include "trivet/base/hashing.h"
#include "trivet/base/mem.h"
#include "trivet/engine/turn/locks.h"
#include "trivet/script/store/shebang.h"
#include <ctype.h>

struct shelf {
    struct chain libraries;
    struct map functions; /* by name */
    size_t library_count, memory;
};

static struct interpreter *interpreter;
static struct shelf all;

void functions_init(void) { interpreter = interpreter_new(INTERPRETER_FUNCTIONS); }

/* ---- names ---- */

#define NAME_HASHED 64 /* bytes of a name that count for its hash */

static uint64_t hash_of_name(struct slice name) {
    char lower[NAME_HASHED];
    size_t len = name.len < sizeof lower ? name.len : sizeof lower;
    for (size_t i = 0; i < len; i++) lower[i] = (char)tolower((unsigned char)name.ptr[i]);
    return hash_bytes(slice_make(lower, len));
}

static struct slice name_of(const struct function *f) { return slice_of(f->name); }

static struct function *find_on(const struct shelf *shelf, struct slice name) {
    MAP_EACH_OF(&shelf->functions, hash_of_name(name), struct function, by_name, f)
    if (slice_equal_nocase(name_of(f), name)) return f;
    return NULL;
}

static struct library *library_on(const struct shelf *shelf, struct slice name) {
    CHAIN_EACH(&shelf->libraries, struct library, in_all, l)
    if (slice_equal(l->name, name)) return l;
    return NULL;
}

struct function *functions_find(struct slice name) {
    return find_on(&all, name);
}
struct library *functions_first(void) {
    return CHAIN_FIRST(&all.libraries, struct library, in_all);
}

/* ---- shelves ---- */

static size_t memory_of(const struct library *l) {
    size_t bytes = mem_size(l) + mem_size(l->name.ptr) + mem_size(l->code.ptr);
    FUNCTIONS_OF(l, f)
    bytes += mem_size(f) + mem_size(f->name) + (f->description.ptr ? mem_size(f->description.ptr) : 0);
    return bytes;
}

static void put_on(struct shelf *shelf, struct library *l) {
    chain_insert_last(&shelf->libraries, &l->in_all);
    FUNCTIONS_OF(l, f) map_insert(&shelf->functions, &f->by_name, hash_of_name(name_of(f)));
    shelf->library_count++;
    shelf->memory += memory_of(l);
}

static void take_from(struct shelf *shelf, struct library *l) {
    chain_remove(&shelf->libraries, &l->in_all);
    FUNCTIONS_OF(l, f) map_remove(&shelf->functions, &f->by_name);
    shelf->library_count--;
    shelf->memory -= memory_of(l);
}

static void library_free(struct library *l, bool forget) {
    FUNCTIONS_OF(l, f) {
        chain_remove(&l->functions, &f->in_library);
        if (forget) interpreter_forget(interpreter, f->function);
        mem_free(unconst(f->description.ptr));
        mem_free(f->name);
        mem_free(f);
    }
    mem_free(unconst(l->name.ptr));
    mem_free(unconst(l->code.ptr));
    mem_free(l);
}

/* `forget`: the interpreter stays, and must let go of the functions. */
static void clear(struct shelf *shelf, bool forget) {
    CHAIN_EACH(&shelf->libraries, struct library, in_all, l) {
        take_from(shelf, l);
        library_free(l, forget);
    }
    map_release(&shelf->functions);
}

/* ---- loading ---- */

static struct slice copy_of(struct slice s) { return slice_make(slice_to_cstr(s), s.len); }

/* register_hook: `arg` is the library. The errors are without code. */
static bool take_function(void *arg, const struct registered_function *r, struct buf *error) {
    struct library *l = arg;
    if (!script_name_is_valid(r->name)) {
        buf_append(error,
                   LIT("Function names can only contain letters, numbers, or underscores(_) and must be "
                       "at least one character long"));
        return false;
    }
    FUNCTIONS_OF(l, other) {
        if (!slice_equal_nocase(name_of(other), r->name)) continue;
        buf_append(error, LIT("Function already exists in the library"));
        return false;
    }
    struct function *f = mem_alloc_zero(sizeof *f);
    f->name = slice_to_cstr(r->name);
    if (r->description.ptr) f->description = copy_of(r->description);
    f->subject.name = f->name;
    f->subject.flags = r->flags;
    f->subject.is_function = true;
    f->library = l;
    f->function = r->function;
    chain_insert_last(&l->functions, &f->in_library);
    return true;
}

/* NULL with the error's text. Takes over the name. */
static struct library *library_new(struct slice code, const struct shebang *line, struct buf *error) {
    struct library *l = mem_alloc_zero(sizeof *l);
    struct buf why = { 0 };
    l->name = line->name;
    l->code = copy_of(code);
    struct slice rest = slice_make(code.ptr + line->len, code.len - line->len);
    if (!interpreter_load(interpreter, rest, take_function, l, &why))
        buf_printf(error, "ERR %.*s", SLICE_ARG(buf_slice(&why)));
    else if (chain_is_empty(&l->functions))
        buf_append(error, LIT("ERR No functions registered"));
    buf_release(&why);
    if (error->len == 0) return l;
    library_free(l, true);
    return NULL;
}

/* Is a function of the library on the shelf too, in a library of another name? */
static bool clashes(const struct shelf *shelf, const struct library *l, struct buf *error) {
    FUNCTIONS_OF(l, f) {
        const struct function *other = find_on(shelf, name_of(f));
        if (!other || slice_equal(other->library->name, l->name)) continue;
        buf_printf(error, "ERR Function %s already exists", f->name);
        return true;
    }
    return false;
}

static void publish(struct library *l) {
    struct library *old = library_on(&all, l->name);
    if (old) {
        take_from(&all, old);
        library_free(old, true);
    }
    put_on(&all, l);
}

/* Loads a library that may join those of the shelf, but does not put it there. NULL with the error's text. */
static struct library *load_for(const struct shelf *shelf, struct slice code, bool replace,
                                struct buf *error) {
    struct shebang line;
    if (!shebang_of_library(code, &line, error)) return NULL;
    if (!replace && library_on(shelf, line.name)) {
        buf_printf(error, "ERR Library '%.*s' already exists", SLICE_ARG(line.name));
        mem_free(unconst(line.name.ptr));
        return NULL;
    }
    struct library *l = library_new(code, &line, error);
    if (!l || !clashes(shelf, l, error)) return l;
    library_free(l, true);
    return NULL;
}

bool functions_load(struct slice code, bool replace, struct slice *name, struct buf *error) {
    struct library *l = load_for(&all, code, replace, error);
    if (!l) return false;
    publish(l);
    *name = l->name;
    return true;
}

/* One library of a payload onto the shelf. */
static bool shelve(struct shelf *shelf, struct slice code, struct buf *error) {
    struct library *l = load_for(shelf, code, false, error);
    if (l) put_on(shelf, l);
    return l;
}

/* A name is taken by what stays beside the shelf's libraries. */
static bool is_taken(const struct shelf *shelf, enum restore_policy policy, struct buf *error) {
    CHAIN_EACH(&shelf->libraries, struct library, in_all, l) {
        if (policy == RESTORE_APPEND && library_on(&all, l->name)) {
            buf_printf(error, "ERR Library %.*s already exists", SLICE_ARG(l->name));
            return true;
        }
        FUNCTIONS_OF(l, f) {
            const struct function *other = find_on(&all, name_of(f));
            if (!other || (policy == RESTORE_REPLACE && library_on(shelf, other->library->name))) continue;
            buf_printf(error, "ERR Function %s already exists", f->name);
            return true;
        }
    }
    return false;
}

bool functions_load_all(const struct slice *codes, size_t count, enum restore_policy policy,
                        struct buf *error) {
    struct shelf fresh = { .memory = 0 };
    bool good = true;
    for (size_t i = 0; good && i < count; i++) good = shelve(&fresh, codes[i], error);
    if (good && policy != RESTORE_FLUSH) good = !is_taken(&fresh, policy, error);
    if (good) {
        if (policy == RESTORE_FLUSH) clear(&all, true);
        CHAIN_EACH(&fresh.libraries, struct library, in_all, l) {
            take_from(&fresh, l);
            publish(l);
        }
    }
    clear(&fresh, true);
    return good;
}

bool functions_delete(struct slice name) {
    struct library *l = library_on(&all, name);
    if (!l) return false;
    take_from(&all, l);
    library_free(l, true);
    return true;
}

static void free_interpreter(void *gone) { interpreter_free(gone); }

void functions_flush(bool later) {
    clear(&all, false);
    if (later)
        background_post(free_interpreter, interpreter, 1);
    else
        interpreter_free(interpreter);
    functions_init();
}

void functions_release(void) {
    clear(&all, false);
    interpreter_free(interpreter);
    interpreter = NULL;
}

/* ---- running ---- */

void function_run(struct function *f, struct call *caller, const struct script_arguments *with,
                  bool reads_only) {
    struct script_run run;
    if (!script_admit(caller, &f->subject, reads_only)) return;
    script_run_begin(&run, caller, &f->subject, reads_only);
    interpreter_run(interpreter, f->function, &run, with->keys, with->key_count, with->args, with->arg_count);
    script_run_end(&run);
}

void functions_info(struct functions_info *out) {
    *out = (struct functions_info){ .libraries = all.library_count,
                                    .functions = all.functions.count,
                                    .memory = all.memory + map_memory(&all.functions),
                                    .interpreter = interpreter_memory(interpreter) };
}
