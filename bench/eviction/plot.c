/* plot.c: horizontal bars, because their names are words; the best of a group is dark. */
#include "plot.h"
#include <stdio.h>
#include <stdlib.h>

enum { BAR = 12, GAP = 16, LEFT = 110, SCALE = 420, RIGHT = 50, TOP = 44 };

static void put_group(FILE *f, const struct plot *p, size_t group, size_t y) {
    const double *values = &p->values[group * p->bars];
    double best = 0;
    for (size_t i = 0; i < p->bars; i++)
        if (values[i] > best) best = values[i];
    fprintf(f, "<text x=\"0\" y=\"%zu\" font-weight=\"bold\">%s</text>\n", y - 4, p->group_names[group]);
    for (size_t i = 0; i < p->bars; i++, y += BAR) {
        const char *color = values[i] >= best - 0.0005 ? "#1f5f8b" : "#a9c7dc";
        double width = values[i] * SCALE;
        fprintf(f, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">%s</text>", LEFT - 4, y + BAR - 3,
                p->bar_names[i]);
        fprintf(f, "<rect x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>", LEFT, y, width,
                BAR - 2, color);
        fprintf(f, "<text x=\"%.1f\" y=\"%zu\">%.3f</text>\n", LEFT + width + 4, y + BAR - 3, values[i]);
    }
}

void plot_write(const struct plot *p, const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    size_t group_height = p->bars * BAR + GAP + BAR, height = TOP + p->groups * group_height;
    int width = LEFT + SCALE + RIGHT;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\" ",
            width, height, width, height);
    fprintf(f, "font-family=\"sans-serif\" font-size=\"9\">\n<rect width=\"100%%\" height=\"100%%\" "
               "fill=\"white\"/>\n");
    fprintf(f, "<text x=\"0\" y=\"12\" font-size=\"12\">%s</text>\n", p->title);
    for (size_t g = 0; g < p->groups; g++) put_group(f, p, g, TOP + g * group_height);
    fprintf(f, "</svg>\n");
    if (fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}
