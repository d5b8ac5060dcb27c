/* SPDX-License-Identifier: Apache-2.0 */
/* rng.h — seeded generator (xoshiro256**, Blackman & Vigna; seeded by splitmix64).  No hidden seed.
 * */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* 0..bound-1, unbiased; bound >= 1 */
double rng_unit(struct rng *r);                    /* [0, 1) */
float rng_normal(struct rng *r);                   /* mean 0, variance 1 (Box-Muller) */
bool rng_chance(struct rng *r, double p);
void rng_bytes(struct rng *r, void *out, size_t size);

/* 16 random bytes from the operating system (getrandom), for seeds and UUIDs.  Returns -1 on
 * failure. */
int rng_system_bytes(void *out, size_t size);

/* A version 4 UUID made from the generator. */
struct uuid {
    uint8_t bytes[16];
};
struct uuid uuid_make(struct rng *r);
enum { UUID_TEXT_BYTES = 33 }; /* 32 lower-case hex digits and a NUL */
void uuid_format(const struct uuid *u, char out[UUID_TEXT_BYTES]);
bool uuid_parse(const char *text, size_t size, struct uuid *out); /* exactly 32 hex digits */
bool uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
