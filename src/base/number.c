/* number.c: numbers from and to text.
 *
 * A double prints as the shortest digits that read back the same. The layout is that of Redis 7.2 and Valkey:
 * whole numbers up to 2^62 have no exponent; others have one only if they would need many zeros (0.1, 1e+20,
 * 1.5e-7). Most doubles that people write have a few decimals. So both directions first try an exact way
 * through one integer and one power of ten, and leave the rest to libc. */
#include "trivet/base/number.h"
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define UINT64_DIGITS 20
#define DOUBLE_DIGITS 17                        /* digits that tell any two doubles apart */
#define DOUBLE_SAFE_DIGITS 15                   /* decimals this short survive the way to a double and back */
#define EXACT_INTEGER_MAX (UINT64_C(1) << 53)   /* doubles hold every integer up to here */
#define PLAIN_INTEGER_MAX 4611686018427387904.0 /* 2^62 */

/* Powers of ten that a double holds exactly. */
static const double exact_power_of_ten[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* Integers. */

bool uint64_parse(struct slice text, uint64_t *out) {
    if (text.len == 0 || text.len > UINT64_DIGITS) return false;
    if (text.ptr[0] == '0' && text.len > 1) return false;
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9) return false;
        /* Only a twentieth digit can overflow. */
        if (i == UINT64_DIGITS - 1 && (n > UINT64_MAX / 10 || n * 10 > UINT64_MAX - digit)) return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool int64_parse(struct slice text, int64_t *out) {
    uint64_t n;
    if (text.len > 0 && text.ptr[0] == '-') {
        if (!uint64_parse(slice_make(text.ptr + 1, text.len - 1), &n)) return false;
        if (n == 0 || n > (uint64_t)INT64_MAX + 1) return false;
        *out = (int64_t)(0 - n);
        return true;
    }
    if (!uint64_parse(text, &n) || n > INT64_MAX) return false;
    *out = (int64_t)n;
    return true;
}

size_t uint64_format(char *out, uint64_t n) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char text[UINT64_DIGITS];
    size_t at = sizeof text;
    while (n >= 100) {
        at -= 2;
        memcpy(text + at, pairs + 2 * (n % 100), 2);
        n /= 100;
    }
    if (n >= 10) {
        at -= 2;
        memcpy(text + at, pairs + 2 * n, 2);
    } else {
        text[--at] = (char)('0' + n);
    }
    memcpy(out, text + at, sizeof text - at);
    return sizeof text - at;
}

size_t int64_format(char *out, int64_t n) {
    if (n >= 0) return uint64_format(out, (uint64_t)n);
    out[0] = '-';
    return 1 + uint64_format(out + 1, 0 - (uint64_t)n);
}

/* Floating point, reading. */

/* Reads digits with at most one point among them. Where the digits as an integer and the power of ten are
 * both exact doubles, their quotient is the double nearest to the text. False: libc must do it. */
static bool parse_short_decimal(struct slice text, double *out) {
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t start = negative ? 1 : 0;
    if (text.len == start || text.len - start > 19) return false;
    uint64_t digits = 0;
    size_t point = text.len;
    for (size_t i = start; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && point == text.len && i > start) {
            point = i;
            continue;
        }
        if (c < '0' || c > '9') return false;
        digits = digits * 10 + (uint64_t)(c - '0');
    }
    if (digits > EXACT_INTEGER_MAX) return false;
    size_t decimals = point == text.len ? 0 : text.len - point - 1;
    double n = (double)digits / exact_power_of_ten[decimals];
    *out = negative ? -n : n;
    return true;
}

/* NUL-terminates a number for libc, which would skip leading spaces. */
static bool copy_for_libc(char *out, size_t room, struct slice text) {
    if (text.len == 0 || text.len >= room) return false;
    if (isspace((unsigned char)text.ptr[0])) return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

bool double_parse(struct slice text, double *out) {
    if (parse_short_decimal(text, out)) return true;
    char copy[LONG_DOUBLE_TEXT_MAX];
    if (!copy_for_libc(copy, sizeof copy, text)) return false;
    char *end;
    errno = 0;
    double n = strtod(copy, &end);
    if (end != copy + text.len || isnan(n)) return false;
    /* An overflow or underflow to zero is refused; a denormal is a valid number. */
    if (errno == ERANGE && (isinf(n) || fpclassify(n) == FP_ZERO)) return false;
    *out = n;
    return true;
}

bool long_double_parse(struct slice text, long double *out) {
    char copy[LONG_DOUBLE_TEXT_MAX];
    if (!copy_for_libc(copy, sizeof copy, text)) return false;
    char *end;
    errno = 0;
    long double n = strtold(copy, &end);
    if (end != copy + text.len || isnan(n)) return false;
    if (errno == ERANGE && (isinf(n) || fpclassify(n) == FP_ZERO)) return false;
    *out = n;
    return true;
}

/* Floating point, printing. */

/* A positive number as digits times 10^exponent; the last digit is not 0. */
struct decimal {
    char digits[DOUBLE_DIGITS + 3];
    int count;
    int exponent;
};

static void cut_trailing_zeros(struct decimal *d) {
    while (d->count > 1 && d->digits[d->count - 1] == '0') {
        d->count--;
        d->exponent++;
    }
}

/* Up to nine decimals, exactly. The first that fits is the shortest, since no two decimals of at most
 * 15 digits are the same double. */
static bool short_decimal(double n, struct decimal *d) {
    if (n < 1e-5 || n >= 1e14) return false;
    for (int decimals = 1; decimals <= 9; decimals++) {
        double scaled = n * exact_power_of_ten[decimals];
        if (scaled >= 1e15) return false;
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / exact_power_of_ten[decimals] != n) continue;
        d->count = (int)uint64_format(d->digits, whole);
        d->exponent = -decimals;
        cut_trailing_zeros(d);
        return true;
    }
    return false;
}

static void shortest_decimal(double n, struct decimal *d) {
    if (short_decimal(n, d)) return;
    char text[40];
    /* A denormal has fewer bits, so fewer digits may do. */
    int count = n < DBL_MIN ? 1 : DOUBLE_SAFE_DIGITS;
    for (;; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, n);
        if (count == DOUBLE_DIGITS || strtod(text, NULL) == n) break;
    }
    /* "d.ddde+dd" (no point if there is one digit) */
    d->digits[0] = text[0];
    if (count > 1) memcpy(d->digits + 1, text + 2, (size_t)count - 1);
    d->count = count;
    d->exponent = atoi(strchr(text, 'e') + 1) - (count - 1);
    cut_trailing_zeros(d);
}

static size_t put(char *out, const char *bytes, int count) {
    memcpy(out, bytes, (size_t)count);
    return (size_t)count;
}

static size_t put_zeros(char *out, int count) {
    memset(out, '0', (size_t)count);
    return (size_t)count;
}

static size_t layout_scientific(char *out, const struct decimal *d, int magnitude) {
    size_t len = put(out, d->digits, 1);
    if (d->count > 1) {
        out[len++] = '.';
        len += put(out + len, d->digits + 1, d->count - 1);
    }
    out[len++] = 'e';
    out[len++] = magnitude < 0 ? '-' : '+';
    return len + uint64_format(out + len, (uint64_t)abs(magnitude));
}

/* Redis 7.2 and Valkey write an exponent if more than seven zeros would follow, or if a number of 10000 or
 * more, or below 0.001, has more than six decimals. */
static size_t layout(char *out, const struct decimal *d) {
    int magnitude = d->exponent + d->count - 1; /* of the first digit */
    if (d->exponent >= 0 && d->exponent <= 7) {
        size_t len = put(out, d->digits, d->count);
        return len + put_zeros(out + len, d->exponent);
    }
    bool plain = d->exponent < 0 && (d->exponent > -7 || abs(magnitude) < 4);
    if (!plain) return layout_scientific(out, d, magnitude);
    size_t len = 0;
    if (magnitude < 0) {
        len += put(out, "0.", 2);
        len += put_zeros(out + len, -magnitude - 1);
        return len + put(out + len, d->digits, d->count);
    }
    len += put(out, d->digits, magnitude + 1);
    out[len++] = '.';
    return len + put(out + len, d->digits + magnitude + 1, d->count - magnitude - 1);
}

size_t double_format(char *out, double n) {
    if (isnan(n)) return put(out, "nan", 3);
    size_t sign = 0;
    if (signbit(n)) {
        out[sign++] = '-';
        n = -n;
    }
    if (isinf(n)) return sign + put(out + sign, "inf", 3);
    if (n <= PLAIN_INTEGER_MAX && (double)(uint64_t)n == n)
        return sign + uint64_format(out + sign, (uint64_t)n);
    struct decimal d;
    shortest_decimal(n, &d);
    return sign + layout(out + sign, &d);
}

size_t long_double_format(char *out, long double n) {
    if (isnan(n)) return put(out, "nan", 3);
    if (isinf(n)) return n > 0 ? put(out, "inf", 3) : put(out, "-inf", 4);
    int written = snprintf(out, LONG_DOUBLE_TEXT_MAX, "%.17Lf", n);
    assert(written > 0 && written < LONG_DOUBLE_TEXT_MAX);
    size_t len = (size_t)written;
    while (out[len - 1] == '0') len--; /* stops at the point at the latest */
    if (out[len - 1] == '.') len--;
    if (len == 2 && out[0] == '-' && out[1] == '0') return put(out, "0", 1);
    return len;
}

/* Sizes of memory. */

static bool unit_parse(struct slice text, uint64_t *out) {
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        { "", 1 },        { "b", 1 },        { "k", 1000 },       { "kb", 1024 },
        { "m", 1000000 }, { "mb", 1 << 20 }, { "g", 1000000000 }, { "gb", 1 << 30 },
    };
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (!slice_equal_nocase(text, slice_of(units[i].name))) continue;
        *out = units[i].bytes;
        return true;
    }
    return false;
}

bool memory_size_parse(struct slice text, uint64_t *out) {
    uint64_t n = 0, unit;
    size_t i = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (__builtin_mul_overflow(n, UINT64_C(10), &n)) return false;
        if (__builtin_add_overflow(n, (uint64_t)(text.ptr[i] - '0'), &n)) return false;
    }
    if (i == 0) return false;
    if (!unit_parse(slice_make(text.ptr + i, text.len - i), &unit)) return false;
    if (__builtin_mul_overflow(n, unit, &n)) return false;
    *out = n;
    return true;
}

void memory_size_human(char *out, uint64_t bytes) {
    static const char marks[] = "KMGTP";
    int step = 0; /* how many times it was divided by 1024 */
    while (step < 5 && bytes >> (10 * (step + 1))) step++;
    if (step == 0) {
        snprintf(out, 32, "%lluB", (unsigned long long)bytes);
        return;
    }
    snprintf(out, 32, "%.2f%c", (double)bytes / (double)(UINT64_C(1) << (10 * step)), marks[step - 1]);
}
