/* number.h: numbers from and to text, strictly: the whole slice is the number or the call fails.
 * Pure functions; no locale. Outputs change only on success. */
#ifndef TRIVET_BASE_NUMBER_H
#define TRIVET_BASE_NUMBER_H

#include "trivet/base/compiler.h"
#include "trivet/base/slice.h"
#include <stdint.h>

#define INT64_TEXT_MAX 21   /* room for "-9223372036854775808" and a NUL */
#define DOUBLE_TEXT_MAX 352 /* room for any double in plain decimals, and a NUL */
#define LONG_DOUBLE_TEXT_MAX 5200

/* Canonical decimal only: no spaces, no plus sign, no leading zeros, no "-0". */
MUST_CHECK bool int64_parse(struct slice text, int64_t *out);
MUST_CHECK bool uint64_parse(struct slice text, uint64_t *out);
/* Writes the digits (no NUL) and returns how many. `out` has INT64_TEXT_MAX bytes. */
size_t int64_format(char *out, int64_t n);
size_t uint64_format(char *out, uint64_t n);

/* Decimal or hex floats and "inf"/"infinity" with a sign, any case; no spaces, no NaN, no empty text. */
MUST_CHECK bool double_parse(struct slice text, double *out);
/* The shortest text that reads back as the same double, in the form of Redis 7.2 and Valkey: integers up to
 * 2^62 without exponent, "0.1", "1e+20", "1e-7", "-0", "inf", "-inf", "nan". `out` has DOUBLE_TEXT_MAX
 * bytes; returns the length, no NUL counted. */
size_t double_format(char *out, double n);

MUST_CHECK bool long_double_parse(struct slice text, long double *out);
/* INCRBYFLOAT's form: 17 decimals at most, trailing zeros cut, never an exponent. */
size_t long_double_format(char *out, long double n);

/* "100", "1k" (1000), "1kb" (1024), m, mb, g, gb, any case, also "b": bytes. Refuses overflow and minus. */
MUST_CHECK bool memory_size_parse(struct slice text, uint64_t *out);
/* As INFO's *_human fields: "918.68K", "1.14M", "0B". `out` has 32 bytes; NUL-terminated. */
void memory_size_human(char *out, uint64_t bytes);

#endif
