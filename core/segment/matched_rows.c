/* SPDX-License-Identifier: Apache-2.0 */
/* matched_rows.c — bits of whole blocks, published one by one.
 *
 * LAYOUT      The entry, the bits of all blocks, a byte for each block that says that its bits are
 *             there.
 * INVARIANTS  (1) A block's bits are written once, under its segment's `filling`, before its byte;
 *                 who has seen the byte reads them without a lock.
 *             (2) open_count and known_count are of the blocks whose byte is set; is_whole is set
 *                 behind all of them.
 * THREADS     Any.
 */
#include "segment/matched_rows.h"

#include <string.h>

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "segment/cached_column.h"

enum { BLOCK_WORDS = COLUMN_BLOCK_ROWS / 64 };

struct known_block {
    _Atomic(bool) is_known;
};

struct matched_rows {
    struct cached_entry entry; /* first */
    uint64_t row_capacity;
    uint32_t block_count;
    uint32_t known_count, open_count; /* under `filling`, constant once it is whole */
    _Atomic(bool) is_whole;
    uint64_t words[]; /* then the blocks' bytes */
};

static size_t match_bytes(uint64_t row_capacity)
{
    size_t block_count = column_block_count(row_capacity);
    return sizeof(struct matched_rows) + block_count * BLOCK_WORDS * sizeof(uint64_t) +
           align_up(block_count, 8);
}

static void init_match(struct cached_entry *e, uint64_t row_capacity)
{
    struct matched_rows *m = (struct matched_rows *)e;
    m->row_capacity = row_capacity;
    m->block_count = (uint32_t)column_block_count(row_capacity);
}

static const struct cached_kind match_kind = {match_bytes, init_match, NULL, true};

int matched_rows_acquire(struct column_cache *c, struct segment *s, struct slice where,
                         struct matched_rows **out, struct error *err)
{
    struct cached_entry *e;
    int rc = cached_entry_acquire(c, s, &match_kind, where, &e, err);

    *out = (struct matched_rows *)e;
    return rc;
}

void matched_rows_release(struct column_cache *c, struct matched_rows *m)
{
    struct cached_entry *e = (struct cached_entry *)m;
    if (e) cached_entries_release(c, &e, 1);
}

/* Whether the block's bits are there. */
static struct known_block *known_of(struct matched_rows *m, uint32_t block)
{
    return (struct known_block *)(void *)&m->words[(size_t)m->block_count * BLOCK_WORDS] + block;
}

const uint64_t *matched_rows_block(struct matched_rows *m, uint32_t block)
{
    CHECK(block < m->block_count);
    /* Acquire, with matched_rows_keep (1). */
    return atomic_load_acquire(&known_of(m, block)->is_known)
               ? m->words + (size_t)block * BLOCK_WORDS
               : NULL;
}

const uint64_t *matched_rows_all(struct matched_rows *m, uint32_t *out_count)
{
    if (!atomic_load_acquire(&m->is_whole)) return NULL; /* with matched_rows_keep (2) */
    *out_count = m->open_count;
    return m->words;
}

void matched_rows_keep(struct matched_rows *m, uint32_t block, const uint64_t *bits,
                       uint32_t row_count)
{
    uint64_t first = (uint64_t)block * COLUMN_BLOCK_ROWS, left = m->row_capacity - first;

    CHECK(block < m->block_count);
    if (row_count < left && row_count < COLUMN_BLOCK_ROWS) return;
    mutex_lock(&m->entry.owner->filling);
    if (!atomic_load_relaxed(&known_of(m, block)->is_known)) { /* written under the lock alone */
        memcpy(m->words + (size_t)block * BLOCK_WORDS, bits, BLOCK_WORDS * sizeof *bits);
        for (int i = 0; i < BLOCK_WORDS; i++)
            m->open_count += (uint32_t)__builtin_popcountll(bits[i]);
        atomic_store_release(&known_of(m, block)->is_known, true); /* with matched_rows_block */
        if (++m->known_count == m->block_count)
            atomic_store_release(&m->is_whole, true); /* with matched_rows_all */
    }
    mutex_unlock(&m->entry.owner->filling);
}
