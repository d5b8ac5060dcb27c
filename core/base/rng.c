/* SPDX-License-Identifier: Apache-2.0 */
/* rng.c — xoshiro256**, what is drawn from it, and UUIDs.
 *
 * WHAT        xoshiro256** 1.0, seeded by splitmix64 (D. Blackman, S. Vigna, "Scrambled linear
 *             pseudorandom number generators", 2021).  Not for secrets.
 * INVARIANTS  (1) The same seed and the same calls give the same numbers in every version and on
 *                 every machine: indexes are built from them.  (rng_normal up to the last bit of
 *                 the machine's log and cos.)
 * THREADS     One owner for each generator.
 * FAILURE     Only rng_system_bytes can fail.
 */
#include "base/rng.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) r->state[i] = splitmix64(&seed);
}

static uint64_t rotate_left(uint64_t v, int by)
{
    return (v << by) | (v >> (64 - by));
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

__extension__ typedef unsigned __int128 uint128;

/* D. Lemire, "Fast random integer generation in an interval", 2019: the high half of a product is
 * the number; the few low halves that would favour some numbers are drawn again. */
uint64_t rng_below(struct rng *r, uint64_t bound)
{
    CHECK(bound >= 1);
    uint128 product = (uint128)rng_u64(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t unfair = (0 - bound) % bound;
        while ((uint64_t)product < unfair) product = (uint128)rng_u64(r) * bound;
    }
    return (uint64_t)(product >> 64);
}

double rng_unit(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

float rng_normal(struct rng *r)
{
    const double two_pi = 6.283185307179586;
    double radius = sqrt(-2.0 * log(1.0 - rng_unit(r))); /* 1 - u is in (0, 1]: the log is finite */
    return (float)(radius * cos(two_pi * rng_unit(r)));
}

bool rng_chance(struct rng *r, double p)
{
    return rng_unit(r) < p;
}

void rng_bytes(struct rng *r, void *out, size_t size)
{
    uint8_t *to = (uint8_t *)out;
    while (size > 0) {
        uint64_t v = rng_u64(r);
        size_t step = size < sizeof v ? size : sizeof v;
        memcpy(to, &v, step);
        to += step;
        size -= step;
    }
}

int rng_system_bytes(void *out, size_t size)
{
    uint8_t *to = (uint8_t *)out;
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        to += got;
        size -= (size_t)got;
    }
    return 0;
}

/* RFC 9562: version 4 in the high half of byte 6, variant 10 in the two high bits of byte 8. */
struct uuid uuid_make(struct rng *r)
{
    struct uuid u;
    rng_bytes(r, u.bytes, sizeof u.bytes);
    u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0F) | 0x40);
    u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3F) | 0x80);
    return u;
}

void uuid_format(const struct uuid *u, char out[UUID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof u->bytes; i++) {
        out[2 * i] = digits[u->bytes[i] >> 4];
        out[2 * i + 1] = digits[u->bytes[i] & 15];
    }
    out[2 * sizeof u->bytes] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool uuid_parse(const char *text, size_t size, struct uuid *out)
{
    struct uuid u;
    if (size != 2 * sizeof u.bytes) return false;
    for (size_t i = 0; i < sizeof u.bytes; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        u.bytes[i] = (uint8_t)(high * 16 + low);
    }
    *out = u;
    return true;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
