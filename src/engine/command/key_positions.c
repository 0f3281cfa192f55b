/* key_positions.c: which arguments of a command are keys, by its key specs. */
#include "trivet/base/mem.h"
#include "trivet/base/number.h"
#include "trivet/engine/command/registry.h"

void key_positions_add(struct key_positions *p, size_t index, uint16_t flags) {
    if (!p->at) {
        p->at = p->inside;
        p->room = COUNT_OF(p->inside);
    }
    if (p->count == p->room) {
        size_t bytes = p->room * 2 * sizeof *p->at;
        if (p->at == p->inside) {
            p->at = mem_alloc(bytes);
            memcpy(p->at, p->inside, sizeof p->inside);
        } else {
            p->at = mem_realloc(p->at, bytes);
        }
        p->room *= 2;
    }
    p->at[p->count++] = (struct key_position){ index, flags };
}

void key_positions_release(struct key_positions *p) {
    if (p->at != p->inside) mem_free(p->at);
    p->at = NULL;
    p->count = p->room = 0;
}

/* Where a spec's keys begin; 0 if its keyword is not there. */
static size_t spec_begin(const struct key_spec *k, const struct slice *argv, size_t argc) {
    if (k->begin == BEGIN_INDEX) return (size_t)k->index;
    assert(k->index != 0 && k->keyword);
    bool backwards = k->index < 0;
    size_t at = backwards ? argc - (size_t)-k->index : (size_t)k->index;
    struct slice word = slice_of(k->keyword);
    for (; at > 0 && at < argc; at = backwards ? at - 1 : at + 1)
        if (slice_equal_nocase(argv[at], word)) return at + 1;
    return 0;
}

static bool add_range(const struct key_spec *k, size_t begin, size_t argc, struct key_positions *out) {
    assert(k->step > 0);
    size_t end; /* one past the last possible key */
    if (k->last >= 0)
        end = begin + (size_t)k->last + 1;
    else if (k->limit <= 1)
        end = argc - (size_t)(-k->last - 1);
    else
        end = begin + (argc - begin) / (size_t)k->limit; /* the first 1/limit of the rest (XREAD) */
    if (begin >= argc || end > argc) return false;
    for (size_t i = begin; i < end; i += (size_t)k->step) key_positions_add(out, i, k->flags);
    return true;
}

static bool add_counted(const struct key_spec *k, size_t begin, const struct slice *argv, size_t argc,
                        struct key_positions *out) {
    assert(k->step > 0 && k->first_key > 0);
    size_t number_at = begin + (size_t)k->keynum_index, first = begin + (size_t)k->first_key;
    int64_t count;
    if (number_at >= argc || !int64_parse(argv[number_at], &count) || count < 0) return false;
    if (count > 0 &&
        (first >= argc || (uint64_t)count > (argc - first + (size_t)k->step - 1) / (size_t)k->step))
        return false;
    for (int64_t i = 0; i < count; i++) key_positions_add(out, first + (size_t)i * (size_t)k->step, k->flags);
    return true;
}

bool command_key_positions(const struct command *command, const struct slice *argv, size_t argc,
                           struct key_positions *out) {
    if (command->find_keys) return command->find_keys(argv, argc, out);
    bool all_fit = true;
    for (size_t s = 0; s < KEY_SPECS_MAX && command->keys[s].begin != BEGIN_NONE; s++) {
        const struct key_spec *k = &command->keys[s];
        if (k->begin == BEGIN_UNKNOWN || k->find == FIND_UNKNOWN) continue;
        size_t begin = spec_begin(k, argv, argc);
        if (begin == 0) continue;
        bool fits =
            k->find == FIND_RANGE ? add_range(k, begin, argc, out) : add_counted(k, begin, argv, argc, out);
        all_fit &= fits;
    }
    return all_fit;
}
