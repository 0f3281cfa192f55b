/* exposition.h: reads the text format of Prometheus as strictly as it is described: every line has its form,
 * the head of a family comes before its samples and once, families do not mix, no series comes twice, and
 * histograms add up. What is wrong fails the running test with its line. */
#ifndef TESTS_INTEGRATION_EXPOSITION_H
#define TESTS_INTEGRATION_EXPOSITION_H

#include "../harness/fail.h"
#include "../harness/text.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPOSITION_HELP __attribute__((unused)) static

struct series {
    char *name; /* with its labels, as they are written */
    double value;
    bool is_counter; /* it never falls: a counter, or a bucket, sum or count of a histogram */
};

struct exposition {
    struct series *at; /* owned */
    size_t count, room;
    char **families; /* owned */
    size_t family_count, family_room;
    /* While it is read: */
    char family[256], type[16], line[4096];
    bool has_type;
    /* The histogram's series that is being read: its labels but le, and what came of it. */
    char histogram[1024];
    double bound, bucket;
    int stage; /* 0: none, 1: buckets, 2: after +Inf, 3: after the sum */
};

EXPOSITION_HELP void exposition_release(struct exposition *e) {
    for (size_t i = 0; i < e->count; i++) free(e->at[i].name);
    for (size_t i = 0; i < e->family_count; i++) free(e->families[i]);
    free(e->at);
    free(e->families);
    *e = (struct exposition){ 0 };
}

#define EXPOSITION_FAIL(e, why) HARNESS_FAIL("%s: %s", (why), (e)->line)

static inline size_t exposition_name_length(const char *s) {
    size_t len = 0;
    if (!isalpha((unsigned char)s[0]) && s[0] != '_') return 0;
    while (isalnum((unsigned char)s[len]) || s[len] == '_') len++;
    return len;
}

static inline bool exposition_is_utf8(const char *s) {
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        int more = *p < 0x80             ? 0
                   : (*p & 0xe0) == 0xc0 ? 1
                   : (*p & 0xf0) == 0xe0 ? 2
                   : (*p & 0xf8) == 0xf0 ? 3
                                         : -1;
        if (more < 0) return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xc0) != 0x80) return false;
    }
    return true;
}

static inline void *exposition_grow(void *array, size_t count, size_t *room, size_t size) {
    if (count < *room) return array;
    *room = *room ? *room * 2 : 64;
    void *grown = realloc(array, *room * size);
    if (!grown) HARNESS_FAIL("out of memory");
    return grown;
}

static inline void exposition_family_ends(struct exposition *e) {
    if (e->family[0] && !e->has_type) EXPOSITION_FAIL(e, "the family before has no TYPE");
    if (e->stage != 0) EXPOSITION_FAIL(e, "a histogram has no end");
}

static inline void exposition_read_help(struct exposition *e, const char *rest) {
    size_t len = exposition_name_length(rest);
    exposition_family_ends(e);
    if (len == 0 || rest[len] != ' ' || !rest[len + 1]) EXPOSITION_FAIL(e, "no name, or no text");
    for (const char *p = rest + len; (p = strchr(p, '\\')) != NULL; p += 2)
        if (p[1] != '\\' && p[1] != 'n') EXPOSITION_FAIL(e, "an unknown escape");
    snprintf(e->family, sizeof e->family, "%.*s", (int)len, rest);
    for (size_t i = 0; i < e->family_count; i++)
        if (strcmp(e->families[i], e->family) == 0) EXPOSITION_FAIL(e, "this family comes again");
    e->families = exposition_grow(e->families, e->family_count, &e->family_room, sizeof *e->families);
    e->families[e->family_count++] = strdup(e->family);
    e->has_type = false;
}

static inline void exposition_read_type(struct exposition *e, const char *rest) {
    size_t len = strlen(e->family);
    if (e->has_type) EXPOSITION_FAIL(e, "a second TYPE");
    if (strncmp(rest, e->family, len) != 0 || rest[len] != ' ') EXPOSITION_FAIL(e, "TYPE of another family");
    snprintf(e->type, sizeof e->type, "%s", rest + len + 1);
    bool is_counter = strcmp(e->type, "counter") == 0;
    if (!is_counter && strcmp(e->type, "gauge") != 0 && strcmp(e->type, "histogram") != 0)
        EXPOSITION_FAIL(e, "no such type");
    bool says_total = len > 6 && strcmp(e->family + len - 6, "_total") == 0;
    if (says_total != is_counter) EXPOSITION_FAIL(e, "counters end with _total, and nothing else does");
    e->has_type = true;
}

/* Reads `{a="b",...}` and returns what is behind it. The labels but le go to `others`, le's value to `le`. */
static inline const char *exposition_read_labels(struct exposition *e, const char *s, char *others,
                                                 char *le) {
    size_t used = 0;
    if (*s != '{') return s;
    do {
        const char *name = ++s;
        size_t len = exposition_name_length(s);
        if (len == 0 || s[len] != '=' || s[len + 1] != '"') EXPOSITION_FAIL(e, "no label");
        const char *value = s += len + 2;
        while (*s && *s != '"') {
            if (*s == '\\' && !(s[1] && strchr("\\n\"", *++s))) EXPOSITION_FAIL(e, "an unknown escape");
            if ((unsigned char)*s < ' ') EXPOSITION_FAIL(e, "a control character");
            s++;
        }
        if (*s != '"') EXPOSITION_FAIL(e, "a label without end");
        if (len == 2 && memcmp(name, "le", 2) == 0)
            snprintf(le, 64, "%.*s", (int)(s - value), value);
        else
            used += (size_t)snprintf(others + used, 1024 - used, "%.*s,", (int)(s - name), name);
        if (used >= 1024) EXPOSITION_FAIL(e, "labels too long for this test");
        s++;
    } while (*s == ',');
    if (*s != '}') EXPOSITION_FAIL(e, "labels without end");
    return s + 1;
}

static inline double exposition_number(struct exposition *e, const char *text) {
    char *end;
    if (!isdigit((unsigned char)*text) && !strchr("+-NI", *text)) EXPOSITION_FAIL(e, "no number");
    double value = strtod(text, &end);
    if (end == text || *end) EXPOSITION_FAIL(e, "no number");
    return value;
}

/* One sample of a histogram: buckets with rising bounds and counts, then the sum, then the count. */
static inline void exposition_read_histogram(struct exposition *e, const char *suffix, const char *labels,
                                             const char *le, double value) {
    if (strcmp(suffix, "_bucket") == 0) {
        double bound = exposition_number(e, le);
        bool is_first = e->stage == 0;
        if (!is_first &&
            (e->stage != 1 || strcmp(labels, e->histogram) != 0 || bound <= e->bound || value < e->bucket))
            EXPOSITION_FAIL(e, "buckets must rise, and end with +Inf");
        snprintf(e->histogram, sizeof e->histogram, "%s", labels);
        e->bound = bound;
        e->bucket = value;
        e->stage = isinf(bound) ? 2 : 1;
    } else if (strcmp(suffix, "_sum") == 0) {
        if (e->stage != 2 || strcmp(labels, e->histogram) != 0) EXPOSITION_FAIL(e, "a sum without buckets");
        e->stage = 3;
    } else if (strcmp(suffix, "_count") == 0) {
        if (e->stage != 3 || strcmp(labels, e->histogram) != 0) EXPOSITION_FAIL(e, "a count without a sum");
        if (value != e->bucket) EXPOSITION_FAIL(e, "the count is not that of +Inf");
        e->stage = 0;
    } else {
        EXPOSITION_FAIL(e, "no sample of a histogram");
    }
}

static inline void exposition_add(struct exposition *e, const char *name, size_t len, double value,
                                  bool is_counter) {
    for (size_t i = 0; i < e->count; i++)
        if (strlen(e->at[i].name) == len && memcmp(e->at[i].name, name, len) == 0)
            EXPOSITION_FAIL(e, "this series comes twice");
    e->at = exposition_grow(e->at, e->count, &e->room, sizeof *e->at);
    e->at[e->count++] = (struct series){ strndup(name, len), value, is_counter };
}

static inline void exposition_read_sample(struct exposition *e, const char *line) {
    char labels[1024] = "", le[64] = "";
    size_t family = strlen(e->family), len = exposition_name_length(line);
    bool is_histogram = strcmp(e->type, "histogram") == 0, is_counter = strcmp(e->type, "counter") == 0;
    char suffix[32];
    if (!e->has_type || len < family || strncmp(line, e->family, family) != 0)
        EXPOSITION_FAIL(e, "a sample of another family");
    snprintf(suffix, sizeof suffix, "%.*s", (int)(len - family), line + family);
    const char *rest = exposition_read_labels(e, line + len, labels, le);
    if (*rest != ' ') EXPOSITION_FAIL(e, "no blank before the value");
    double value = exposition_number(e, rest + 1);
    if ((is_counter || is_histogram) && !(value >= 0)) EXPOSITION_FAIL(e, "a counter below 0");
    if (is_histogram)
        exposition_read_histogram(e, suffix, labels, le, value);
    else if (suffix[0] || le[0])
        EXPOSITION_FAIL(e, "a sample of another family");
    exposition_add(e, line, (size_t)(rest - line), value, is_counter || is_histogram);
}

EXPOSITION_HELP void exposition_read(const char *text, struct exposition *e) {
    *e = (struct exposition){ 0 };
    if (!exposition_is_utf8(text)) HARNESS_FAIL("this is not UTF-8");
    while (*text) {
        size_t len = strcspn(text, "\n");
        snprintf(e->line, sizeof e->line, "%.*s", (int)len, text);
        if (text[len] != '\n' || len >= sizeof e->line) EXPOSITION_FAIL(e, "a line without end, or too long");
        if (strncmp(e->line, "# HELP ", 7) == 0)
            exposition_read_help(e, e->line + 7);
        else if (strncmp(e->line, "# TYPE ", 7) == 0)
            exposition_read_type(e, e->line + 7);
        else
            exposition_read_sample(e, e->line);
        text += len + 1;
    }
    exposition_family_ends(e);
}

EXPOSITION_HELP const struct series *exposition_find(const struct exposition *e, const char *name) {
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->at[i].name, name) == 0) return &e->at[i];
    return NULL;
}

EXPOSITION_HELP double exposition_value(const struct exposition *e, const char *name) {
    const struct series *s = exposition_find(e, name);
    if (!s) HARNESS_FAIL("there is no %s", name);
    return s->value;
}

#endif
