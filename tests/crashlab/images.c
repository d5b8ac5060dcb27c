/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/images.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const char *const tear_names[] = {"none", "prefix", "sectors", "zero", "garbage"};

static bool image_equal(const struct image *a, const struct image *b)
{
    return memcmp(a->keep, b->keep, sizeof a->keep) == 0 && a->tear == b->tear &&
           a->victim == b->victim && a->detail == b->detail;
}

static void add(struct images *out, const struct image *m)
{
    for (size_t i = 0; i < out->count; i++)
        if (image_equal(&out->list[i], m)) return;
    if (out->count < IMAGES_MAX) out->list[out->count++] = *m;
}

static struct image prefix_of(size_t count)
{
    struct image m = {{0}, TEAR_NONE, 0, 0};

    for (size_t i = 0; i < count; i++) image_keep(&m, i);
    return m;
}

static void drop(struct image *m, size_t i)
{
    if (i >= MASK_BITS) i = MASK_BITS - 1;
    m->keep[i / 64] &= ~(1ull << (i % 64));
}

static void add_classic(struct images *out, const struct disk *d, size_t i)
{
    size_t n = d->pending_count;
    struct image m = prefix_of(i);

    add(out, &m);
    m = prefix_of(n);
    drop(&m, i);
    add(out, &m);
    m = prefix_of(0);
    image_keep(&m, i);
    add(out, &m);
}

/* Forms in which a write arrives in part; everything before it is there, or something of it. */
static void add_torn(struct images *out, const struct disk *d, size_t victim, struct rng *rng)
{
    const struct pending *p = &d->pending[victim];
    uint64_t sectors =
        (p->offset + p->data->size + SECTOR_BYTES - 1) / SECTOR_BYTES - p->offset / SECTOR_BYTES;
    struct image m = rng_chance(rng, 0.7) ? prefix_of(victim + 1) : prefix_of(d->pending_count);

    m.victim = (uint32_t)victim;
    for (uint64_t s = 1; s < sectors && s < 9; s++) {
        m.tear = TEAR_PREFIX;
        m.detail = sectors < 10 ? s : 1 + rng_below(rng, sectors - 1);
        add(out, &m);
    }
    for (int i = 0; i < 3 && sectors > 1; i++) {
        m.tear = TEAR_SECTORS;
        m.detail = rng_below(rng, 1u << 20);
        add(out, &m);
    }
    m.tear = TEAR_ZERO;
    m.detail = 0;
    add(out, &m);
    m.tear = TEAR_GARBAGE;
    m.detail = 1 + rng_below(rng, 1000);
    add(out, &m);
}

static void add_random(struct images *out, const struct disk *d, struct rng *rng)
{
    struct image m = prefix_of(0);
    unsigned chance = 1 + (unsigned)rng_below(rng, 7);

    for (size_t i = 0; i < d->pending_count; i++)
        if (rng_below(rng, 8) < chance) image_keep(&m, i);
    add(out, &m);
}

/* Names in order in each directory and renames whole; data as it likes. */
static void add_ordered(struct images *out, const struct disk *d, struct rng *rng)
{
    struct image m = prefix_of(0);
    size_t names = 0, kept = 0;

    for (size_t i = 0; i < d->pending_count; i++)
        names += d->pending[i].kind >= PENDING_LINK && !d->pending[i].is_paired;
    size_t most = (size_t)rng_below(rng, names + 1);
    for (size_t i = 0; i < d->pending_count; i++) {
        const struct pending *p = &d->pending[i];
        if (p->kind < PENDING_LINK) {
            if (rng_below(rng, 2)) image_keep(&m, i);
        } else if (p->is_paired) {
            if (image_keeps(&m, i - 1)) image_keep(&m, i);
        } else if (kept++ < most) {
            image_keep(&m, i);
        }
    }
    add(out, &m);
}

static size_t last_write(const struct disk *d, size_t before)
{
    while (before-- > 0)
        if (d->pending[before].kind == PENDING_WRITE) return before;
    return SIZE_MAX;
}

/* Keep those that matter most in front, and choose from the rest by chance. */
static void thin_out(struct images *out, size_t fixed, size_t most, struct rng *rng)
{
    while (out->count > most && out->count > fixed) {
        size_t i = fixed + (size_t)rng_below(rng, out->count - fixed);
        out->list[i] = out->list[--out->count];
    }
}

void images_make(struct images *out, const struct disk *d, size_t most, struct rng *rng)
{
    size_t n = d->pending_count, victim;
    struct image m = prefix_of(n);

    out->count = 0;
    add(out, &m);
    if (n == 0) return;
    m = prefix_of(0);
    add(out, &m);
    add_classic(out, d, n - 1);
    size_t fixed = out->count;
    if ((victim = last_write(d, n)) != SIZE_MAX) add_torn(out, d, victim, rng);
    if (victim != SIZE_MAX && (victim = last_write(d, 1 + (size_t)rng_below(rng, n))) != SIZE_MAX)
        add_torn(out, d, victim, rng);
    for (size_t i = 0; i < n && i < MASK_BITS && out->count < IMAGES_MAX - 40; i++)
        add_classic(out, d, n <= 40 ? i : (size_t)rng_below(rng, n));
    for (int i = 0; i < 6 && n > 1; i++) add_random(out, d, rng);
    for (int i = 0; i < 6 && n > 1; i++) add_ordered(out, d, rng);
    thin_out(out, fixed, most, rng);
}

bool image_is_all(const struct image *m, size_t pending_count)
{
    struct image all = prefix_of(pending_count);
    return image_equal(m, &all);
}

uint64_t image_hash(const struct image *m)
{
    return hash_xxh3_64(m->keep, sizeof m->keep) ^
           hash_u64(m->detail * 1000003 + m->victim * 5 + (uint64_t)m->tear);
}

void image_format(const struct image *m, char out[IMAGE_TEXT_BYTES])
{
    int top = MASK_WORDS - 1, at;

    while (top > 0 && m->keep[top] == 0) top--;
    at = snprintf(out, IMAGE_TEXT_BYTES, "0x%llx", (unsigned long long)m->keep[top]);
    while (top-- > 0)
        at += snprintf(out + at, IMAGE_TEXT_BYTES - (size_t)at, "%016llx",
                       (unsigned long long)m->keep[top]);
    if (m->tear != TEAR_NONE)
        snprintf(out + at, IMAGE_TEXT_BYTES - (size_t)at, ",%s,%u,%llu", tear_names[m->tear],
                 m->victim, (unsigned long long)m->detail);
}

static bool parse_tear(const char *text, struct image *out)
{
    for (int i = 1; i <= TEAR_GARBAGE; i++) {
        size_t n = strlen(tear_names[i]);
        char *end;
        if (strncmp(text, tear_names[i], n) != 0 || text[n] != ',') continue;
        out->tear = (enum tear_kind)i;
        out->victim = (uint32_t)strtoul(text + n + 1, &end, 10);
        if (*end == ',') out->detail = strtoull(end + 1, NULL, 10);
        return true;
    }
    return false;
}

bool image_parse(const char *text, struct image *out)
{
    size_t digits = 0;

    *out = prefix_of(0);
    if (strncmp(text, "0x", 2) == 0) text += 2;
    while (strchr("0123456789abcdefABCDEF", text[digits]) && text[digits]) digits++;
    if (digits == 0 || digits > MASK_WORDS * 16) return false;
    for (size_t i = 0; i < digits; i++) {
        char digit[2] = {text[digits - 1 - i], '\0'};
        out->keep[i / 16] |= strtoull(digit, NULL, 16) << (i % 16 * 4);
    }
    if (text[digits] == '\0') return true;
    return text[digits] == ',' && parse_tear(text + digits + 1, out);
}
