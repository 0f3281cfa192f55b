/* plot.h: bars in groups as a small SVG file. */
#ifndef BENCH_EVICTION_PLOT_H
#define BENCH_EVICTION_PLOT_H

#include <stddef.h>

struct plot {
    const char *title;
    size_t groups, bars; /* bars in a group */
    const char *const *group_names, *const *bar_names;
    const double *values; /* groups * bars of them, from 0 to 1 */
};

/* Ends the process if the file cannot be written. */
void plot_write(const struct plot *p, const char *path);

#endif
