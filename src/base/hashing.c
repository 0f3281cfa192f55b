/* hashing.c: the secret behind hash_bytes. XXH3 wants a secret that looks random: the system's bytes do. */
#include "trivet/base/hashing.h"
#include "trivet/base/compiler.h"
#include "trivet/base/random.h"

static_assert(HASH_SECRET_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 reads at least this much secret");

unsigned char hash_secret[HASH_SECRET_SIZE];

void hash_init(void) { random_secret(hash_secret, sizeof hash_secret); }
