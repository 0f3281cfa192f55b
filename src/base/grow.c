/* grow.c: see grow.h. */
#include "trivet/base/grow.h"
#include "trivet/base/mem.h"
#include <stdbool.h>

void *grow_array(void *array, size_t item_size, size_t *room, size_t least) {
    assert(item_size > 0 && least > 0 && *room <= SIZE_MAX / 2);
    size_t more = *room ? *room * 2 : least, bytes;
    bool overflow = __builtin_mul_overflow(more, item_size, &bytes);
    assert(!overflow);
    *room = more;
    return mem_realloc(array, bytes);
}
