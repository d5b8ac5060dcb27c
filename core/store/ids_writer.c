/* SPDX-License-Identifier: Apache-2.0 */
/* ids_writer.c — the ids part of a new segment (FORMAT.md 7).
 *
 * WHAT        One pass over the rows gathers keys, texts and the Bloom filter; the row numbers are
 *             sorted by id; then the sections are written one after the other.
 * INVARIANTS  What ids_file_verify demands: LSNs never descend, ids are valid and unique.  Rows
 *             come from files too, so a breach is CORRUPT, not a CHECK.
 * THREADS     One job.  Memory: about 26 bytes a row, and the texts.
 * FAILURE     No file is left.
 */
#include "base/bytes.h"
#include "base/limits.h"
#include "store/ids_bloom.h"
#include "store/ids_file.h"

struct ids_build {
    struct alloc *alloc;
    uint32_t row_count;
    uint32_t int_count;
    uint64_t *keys;  /* by row: the integer, or the offset of the text */
    uint64_t *lsns;  /* by row */
    uint64_t *kinds; /* bit set: text */
    uint64_t *bloom;
    uint64_t bloom_blocks;
    struct buf texts; /* u8 length, bytes; in row order */
    uint32_t *order;  /* rows: those of integers by value, then those of texts by bytes */
    uint32_t *spare;  /* for sorting */
};

static void *take(struct ids_build *b, size_t count, size_t bytes, struct error *err)
{
    void *block = mem_zalloc(b->alloc, MEM_GENERAL, count * bytes);
    if (!block) error_no_memory(err, count * bytes);
    return block;
}

static int prepare(struct ids_build *b, struct alloc *a, const struct ids_source *rows,
                   struct error *err)
{
    if (rows->row_count == 0 || rows->row_count >= UINT32_MAX)
        return error_set(err, LYNSE_LIMIT, "a segment has 1 to %u rows, not %llu", UINT32_MAX - 1,
                         (unsigned long long)rows->row_count);
    size_t n = (size_t)rows->row_count;
    *b = (struct ids_build){.alloc = a, .row_count = (uint32_t)n};
    b->bloom_blocks = bloom_block_count(n);
    buf_init(&b->texts, a, MEM_GENERAL);
    b->keys = (uint64_t *)take(b, n, sizeof *b->keys, err);
    if (!b->keys) return -1;
    b->lsns = (uint64_t *)take(b, n, sizeof *b->lsns, err);
    if (!b->lsns) return -1;
    b->kinds = (uint64_t *)take(b, (n + 63) / 64, sizeof *b->kinds, err);
    if (!b->kinds) return -1;
    b->bloom = (uint64_t *)take(b, (size_t)b->bloom_blocks, BLOOM_BLOCK_BYTES, err);
    if (!b->bloom) return -1;
    b->order = (uint32_t *)take(b, n, sizeof *b->order, err);
    if (!b->order) return -1;
    b->spare = (uint32_t *)take(b, n, sizeof *b->spare, err);
    return b->spare ? 0 : -1;
}

static void free_build(struct ids_build *b)
{
    if (!b->alloc) return;
    mem_free(b->alloc, b->keys);
    mem_free(b->alloc, b->lsns);
    mem_free(b->alloc, b->kinds);
    mem_free(b->alloc, b->bloom);
    mem_free(b->alloc, b->order);
    mem_free(b->alloc, b->spare);
    buf_deinit(&b->texts);
}

static bool is_text(const struct ids_build *b, uint32_t row)
{
    return b->kinds[row / 64] >> (row % 64) & 1;
}

static struct record_id id_of(const struct ids_build *b, uint32_t row)
{
    if (!is_text(b, row)) return id_of_number(b->keys[row]);
    const uint8_t *text = b->texts.data + b->keys[row];
    return id_of_text(slice_of(text + 1, text[0]));
}

static int gather_rows(struct ids_build *b, const struct ids_source *rows, struct error *err)
{
    for (uint32_t row = 0; row < b->row_count; row++) {
        struct record_id id = rows->id(rows->ctx, row);
        struct error why = {0};
        if (id_check(&id, &why) != 0)
            return error_set(err, LYNSE_CORRUPT, "row %u to be sealed: %s", row, why.text);
        b->lsns[row] = rows->lsn(rows->ctx, row);
        if (row > 0 && b->lsns[row] < b->lsns[row - 1])
            return error_set(err, LYNSE_CORRUPT, "row %u to be sealed has LSN %llu behind %llu",
                             row, (unsigned long long)b->lsns[row],
                             (unsigned long long)b->lsns[row - 1]);
        uint64_t hash = id_hash(&id);
        bloom_add(b->bloom + bloom_block_of(hash, b->bloom_blocks) * (BLOOM_BLOCK_BITS / 64), hash);
        b->keys[row] = id.is_text ? b->texts.size : id.number;
        if (!id.is_text) {
            b->order[b->int_count++] = row;
            continue;
        }
        b->kinds[row / 64] |= 1ull << (row % 64);
        buf_append_u8(&b->texts, (uint8_t)id.text.size);
        buf_append(&b->texts, id.text.data, id.text.size);
    }
    if (!buf_ok(&b->texts)) return error_no_memory(err, b->texts.size);
    uint32_t at = b->int_count;
    for (uint32_t row = 0; at < b->row_count; row++)
        if (is_text(b, row)) b->order[at++] = row;
    return 0;
}

/* ---- Order ---- */

static bool is_before(const struct ids_build *b, uint32_t row, uint32_t other)
{
    struct record_id x = id_of(b, row), y = id_of(b, other);
    return id_compare(&x, &y) < 0;
}

/* Merge from[lo, mid) and from[mid, hi), each sorted, into to[lo, hi). */
static void merge_rows(const struct ids_build *b, const uint32_t *from, uint32_t *to, size_t lo,
                       size_t mid, size_t hi)
{
    size_t left = lo, right = mid;
    if (mid == hi || !is_before(b, from[mid], from[mid - 1])) { /* in order as it is */
        memcpy(to + lo, from + lo, (hi - lo) * sizeof *to);
        return;
    }
    for (size_t at = lo; at < hi; at++) {
        bool take_right = left == mid || (right < hi && is_before(b, from[right], from[left]));
        to[at] = from[take_right ? right++ : left++];
    }
}

/* Sort order[first, end) by id: bottom-up merges, which pass over rows that are in order. */
static void sort_rows(struct ids_build *b, size_t first, size_t end)
{
    uint32_t *from = b->order, *to = b->spare;
    for (size_t width = 1; width < end - first; width *= 2) {
        for (size_t lo = first; lo < end; lo += 2 * width) {
            size_t mid = end - lo > width ? lo + width : end;
            size_t hi = end - mid > width ? mid + width : end;
            merge_rows(b, from, to, lo, mid, hi);
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != b->order) memcpy(b->order + first, from + first, (end - first) * sizeof *from);
}

static int check_unique(const struct ids_build *b, struct error *err)
{
    for (uint32_t i = 1; i < b->row_count; i++) {
        struct record_id id = id_of(b, b->order[i]), before = id_of(b, b->order[i - 1]);
        char text[ID_TEXT_BYTES];
        if (id_equal(&id, &before))
            return error_set(err, LYNSE_CORRUPT, "rows %u and %u to be sealed have the same id %s",
                             b->order[i - 1], b->order[i], id_format(&id, text));
    }
    return 0;
}

/* ---- Sections ---- */

static int write_section(struct part_writer *w, enum section_kind kind, uint32_t element_bytes,
                         uint64_t number, const void *data, size_t bytes, struct error *err)
{
    if (part_writer_begin(w, kind, element_bytes, number, err) != 0) return -1;
    if (part_writer_write(w, data, bytes, err) != 0) return -1;
    return part_writer_end(w, err);
}

static int write_sorted_ints(const struct ids_build *b, struct part_writer *w, struct error *err)
{
    enum { PIECE = 512 };
    uint64_t values[PIECE];
    if (part_writer_begin(w, SECTION_SORTED_INTS, 8, 0, err) != 0) return -1;
    for (uint32_t i = 0; i < b->int_count;) {
        uint32_t count = b->int_count - i < PIECE ? b->int_count - i : PIECE;
        for (uint32_t k = 0; k < count; k++) values[k] = b->keys[b->order[i + k]];
        if (part_writer_write(w, values, count * sizeof *values, err) != 0) return -1;
        i += count;
    }
    return part_writer_end(w, err);
}

static int write_sections(const struct ids_build *b, struct part_writer *w, struct error *err)
{
    size_t n = b->row_count, ints = b->int_count;
    if (write_section(w, SECTION_ROW_IDS, 8, 0, b->keys, n * 8, err) != 0) return -1;
    if (write_section(w, SECTION_ROW_LSNS, 8, 0, b->lsns, n * 8, err) != 0) return -1;
    if (ints < n) {
        const uint32_t *rows = b->order + ints;
        if (write_section(w, SECTION_ROW_KINDS, 8, 0, b->kinds, (n + 63) / 64 * 8, err) != 0 ||
            write_section(w, SECTION_TEXT, 0, 0, b->texts.data, b->texts.size, err) != 0 ||
            write_section(w, SECTION_SORTED_TEXT_ROWS, 4, 0, rows, (n - ints) * 4, err) != 0)
            return -1;
    }
    if (ints > 0) {
        if (write_sorted_ints(b, w, err) != 0 ||
            write_section(w, SECTION_SORTED_INT_ROWS, 4, 0, b->order, ints * 4, err) != 0)
            return -1;
    }
    return write_section(w, SECTION_BLOOM, BLOOM_BLOCK_BYTES, b->bloom_blocks, b->bloom,
                         (size_t)b->bloom_blocks * BLOOM_BLOCK_BYTES, err);
}

int ids_file_write(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                   const struct uuid *segment, const struct ids_source *rows, struct rng *rng,
                   struct manifest_part *out_part, struct error *err)
{
    struct ids_build b = {0};
    struct part_writer *w = NULL;
    int rc = -1;

    if (prepare(&b, a, rows, err) != 0 || gather_rows(&b, rows, err) != 0) goto out;
    sort_rows(&b, 0, b.int_count);
    sort_rows(&b, b.int_count, b.row_count);
    if (check_unique(&b, err) != 0) goto out;
    if (part_writer_create(a, dir, owner, segment, PART_IDS, 0, b.row_count, rng, &w, err) != 0)
        goto out;
    if (write_sections(&b, w, err) != 0) goto out;
    rc = part_writer_finish(w, 0, out_part, err);
out:
    part_writer_destroy(w);
    free_build(&b);
    return rc;
}
