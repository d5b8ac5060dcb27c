/* SPDX-License-Identifier: Apache-2.0 */
/* ids_file.c — looks ids up in the ids part of a sealed segment, where it lies.
 *
 * WHAT        id → row: the Bloom filter turns away nearly all ids that are not here, at the price
 *             of one cache line; then integers are searched by interpolation (exact at once for
 *             the automatic ids, which follow one another), texts by bisection.
 * LAYOUT      FORMAT.md 7.
 * INVARIANTS  (1) Sizes of all sections fit the row count and each other: checked at open.
 *             (2) The contents may be anything: a row number or an offset that is read is checked
 *                 before it is used, and a search ends whatever it meets.
 *             ids_file_verify checks what a search takes on trust: order, uniqueness, that sorted
 *             ids are the ids of their rows, and every bit of the filter.
 * THREADS     Any.
 * FAILURE     CORRUPT, from part_file.c or by (2).
 */
#include "store/ids_file.h"

#include "base/bytes.h"
#include "base/limits.h"
#include "store/ids_bloom.h"

enum { INTERPOLATION_STEPS = 8 }; /* before bisection takes over: ids that follow no line */

struct ids_file {
    struct alloc *alloc;
    struct part_file *part;
    uint32_t row_count;
    uint32_t int_count;
    uint32_t text_count;
    uint64_t bloom_blocks;
    const struct part_section *row_ids;
    const struct part_section *row_kinds; /* NULL: no text */
    const struct part_section *row_lsns;
    const struct part_section *text;      /* NULL: no text */
    const struct part_section *ints;      /* NULL: no integer */
    const struct part_section *int_rows;  /* NULL: no integer */
    const struct part_section *text_rows; /* NULL: no text */
    const struct part_section *bloom;
};

/* ---- Opening ---- */

/* The section, which has to have so many elements; NULL and 0 elements agree. */
static int want_section(struct ids_file *f, enum section_kind kind, uint32_t element_bytes,
                        uint64_t count, const struct part_section **out, struct error *err)
{
    const struct part_section *s = part_file_section(f->part, kind);
    uint64_t bytes = s ? s->bytes : 0;
    uint32_t element = s ? s->element_bytes : element_bytes;
    if ((s == NULL) != (count == 0) || element != element_bytes || bytes != count * element_bytes)
        return error_set(err, LYNSE_CORRUPT,
                         "'%s': section %d has %llu bytes in elements of %u, not %llu of %u",
                         part_file_name(f->part), kind, (unsigned long long)bytes, element,
                         (unsigned long long)count, element_bytes);
    *out = s;
    return 0;
}

static int find_sections(struct ids_file *f, struct error *err)
{
    const struct part_section *text_rows = part_file_section(f->part, SECTION_SORTED_TEXT_ROWS);
    uint64_t n = f->row_count, text_count = text_rows ? text_rows->bytes / 4 : 0;
    if (text_count > n)
        return error_set(err, LYNSE_CORRUPT, "'%s': %llu text ids in %u rows",
                         part_file_name(f->part), (unsigned long long)text_count, f->row_count);
    f->text_count = (uint32_t)text_count;
    f->int_count = (uint32_t)(n - text_count);
    f->bloom_blocks = bloom_block_count(n);
    f->text = part_file_section(f->part, SECTION_TEXT);
    uint64_t kind_words = text_count ? (n + 63) / 64 : 0;
    if (want_section(f, SECTION_ROW_IDS, 8, n, &f->row_ids, err) != 0 ||
        want_section(f, SECTION_ROW_KINDS, 8, kind_words, &f->row_kinds, err) != 0 ||
        want_section(f, SECTION_ROW_LSNS, 8, n, &f->row_lsns, err) != 0 ||
        want_section(f, SECTION_SORTED_INTS, 8, f->int_count, &f->ints, err) != 0 ||
        want_section(f, SECTION_SORTED_INT_ROWS, 4, f->int_count, &f->int_rows, err) != 0 ||
        want_section(f, SECTION_SORTED_TEXT_ROWS, 4, text_count, &f->text_rows, err) != 0 ||
        want_section(f, SECTION_BLOOM, BLOOM_BLOCK_BYTES, f->bloom_blocks, &f->bloom, err) != 0)
        return -1;
    if ((f->text == NULL) != (text_count == 0) || f->bloom->number != f->bloom_blocks)
        return error_set(err, LYNSE_CORRUPT, "'%s': texts or filter do not fit %llu text ids",
                         part_file_name(f->part), (unsigned long long)text_count);
    return 0;
}

int ids_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                  const struct uuid *segment, const struct manifest_part *expect,
                  uint64_t row_count, struct ids_file **out, struct error *err)
{
    if (row_count == 0 || row_count >= UINT32_MAX)
        return error_set(err, LYNSE_CORRUPT, "a segment cannot have %llu rows",
                         (unsigned long long)row_count);
    struct ids_file *f = (struct ids_file *)mem_zalloc(a, MEM_SEGMENT, sizeof *f);
    if (!f) return error_no_memory(err, sizeof *f);
    f->alloc = a;
    f->row_count = (uint32_t)row_count;
    if (part_file_open(a, dir, owner, segment, expect, 0, row_count, &f->part, err) != 0) {
        mem_free(a, f);
        return -1;
    }
    if (find_sections(f, err) != 0) {
        ids_file_close(f);
        return -1;
    }
    *out = f;
    return 0;
}

void ids_file_close(struct ids_file *f)
{
    if (!f) return;
    part_file_close(f->part);
    mem_free(f->alloc, f);
}

/* ---- Row → id, LSN ---- */

static int load_at_u64(struct ids_file *f, const struct part_section *s, uint64_t index,
                       uint64_t *out, struct error *err)
{
    const void *at;
    if (part_file_borrow(f->part, s, index * 8, 8, &at, err) != 0) return -1;
    *out = load_u64(at);
    return 0;
}

/* A row number out of a sorted section; (2). */
static int load_row(struct ids_file *f, const struct part_section *s, uint64_t index, uint32_t *out,
                    struct error *err)
{
    const void *at;
    if (part_file_borrow(f->part, s, index * 4, 4, &at, err) != 0) return -1;
    uint32_t row = load_u32(at);
    if (row >= f->row_count)
        return error_set(err, LYNSE_CORRUPT, "'%s': sorted id %llu is in row %u of %u",
                         part_file_name(f->part), (unsigned long long)index, row, f->row_count);
    *out = row;
    return 0;
}

static int load_text(struct ids_file *f, uint64_t offset, struct slice *out, struct error *err)
{
    const void *size, *bytes;
    if (part_file_borrow(f->part, f->text, offset, 1, &size, err) != 0) return -1;
    uint8_t count = *(const uint8_t *)size;
    if (count == 0)
        return error_set(err, LYNSE_CORRUPT, "'%s': the text id at %llu is empty",
                         part_file_name(f->part), (unsigned long long)offset);
    if (part_file_borrow(f->part, f->text, offset + 1, count, &bytes, err) != 0) return -1;
    *out = slice_of(bytes, count);
    return 0;
}

static int load_kind(struct ids_file *f, uint32_t row, bool *out_is_text, struct error *err)
{
    uint64_t word = 0;
    if (f->row_kinds && load_at_u64(f, f->row_kinds, row / 64, &word, err) != 0) return -1;
    *out_is_text = word >> (row % 64) & 1;
    return 0;
}

int ids_file_id(struct ids_file *f, uint32_t row, struct record_id *out, struct error *err)
{
    uint64_t key;
    bool is_text;
    if (load_kind(f, row, &is_text, err) != 0) return -1;
    if (load_at_u64(f, f->row_ids, row, &key, err) != 0) return -1;
    *out = id_of_number(key);
    if (!is_text) return 0;
    struct slice text;
    if (load_text(f, key, &text, err) != 0) return -1;
    *out = id_of_text(text);
    return 0;
}

int ids_file_lsn(struct ids_file *f, uint32_t row, uint64_t *out, struct error *err)
{
    return load_at_u64(f, f->row_lsns, row, out, err);
}

/* ---- Id → row ---- */

static int pass_bloom(struct ids_file *f, uint64_t hash, struct error *err)
{
    const void *block;
    uint64_t offset = bloom_block_of(hash, f->bloom_blocks) * BLOOM_BLOCK_BYTES;
    if (part_file_borrow(f->part, f->bloom, offset, BLOOM_BLOCK_BYTES, &block, err) != 0) return -1;
    return bloom_may_have((const uint64_t *)block, hash);
}

/* Where the value should be between two that it is strictly between. */
static uint64_t guess_index(uint64_t value, uint64_t low, uint64_t low_value, uint64_t high,
                            uint64_t high_value)
{
    double share = (double)(value - low_value) / (double)(high_value - low_value);
    uint64_t guess = low + (uint64_t)(share * (double)(high - low) + 0.5);
    if (guess <= low) return low + 1;
    return guess >= high ? high - 1 : guess;
}

/* 1: *out_index in the sorted integers. */
static int search_ints(struct ids_file *f, uint64_t value, uint64_t *out_index, struct error *err)
{
    uint64_t low = 0, high = f->int_count - 1, low_value, high_value;
    if (load_at_u64(f, f->ints, low, &low_value, err) != 0) return -1;
    if (load_at_u64(f, f->ints, high, &high_value, err) != 0) return -1;
    *out_index = value == low_value ? low : high;
    if (value == low_value || value == high_value) return 1;
    if (value < low_value || value > high_value) return 0;
    for (int step = 0; high - low > 1; step++) { /* low_value < value < high_value: (2) */
        uint64_t at = step < INTERPOLATION_STEPS
                          ? guess_index(value, low, low_value, high, high_value)
                          : low + (high - low) / 2;
        uint64_t there;
        if (load_at_u64(f, f->ints, at, &there, err) != 0) return -1;
        *out_index = at;
        if (there == value) return 1;
        if (there < value) {
            low = at;
            low_value = there;
        } else {
            high = at;
            high_value = there;
        }
    }
    return 0;
}

static int text_of_row(struct ids_file *f, uint32_t row, struct slice *out, struct error *err)
{
    struct record_id id;
    if (ids_file_id(f, row, &id, err) != 0) return -1;
    if (!id.is_text)
        return error_set(err, LYNSE_CORRUPT, "'%s': row %u stands among the text ids",
                         part_file_name(f->part), row);
    *out = id.text;
    return 0;
}

/* 1: *out_row of the text. */
static int search_texts(struct ids_file *f, struct slice text, uint32_t *out_row, struct error *err)
{
    uint64_t low = 0, high = f->text_count;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        struct slice there;
        if (load_row(f, f->text_rows, mid, out_row, err) != 0) return -1;
        if (text_of_row(f, *out_row, &there, err) != 0) return -1;
        int order = slice_compare(text, there);
        if (order == 0) return 1;
        if (order < 0) high = mid;
        else low = mid + 1;
    }
    return 0;
}

int ids_file_find(struct ids_file *f, const struct record_id *id, uint32_t *out_row,
                  struct error *err)
{
    if ((id->is_text ? f->text_count : f->int_count) == 0) return 0;
    int found = pass_bloom(f, id_hash(id), err);
    if (found <= 0) return found;
    uint32_t row = 0;
    if (id->is_text) {
        found = search_texts(f, id->text, &row, err);
    } else {
        uint64_t index = 0;
        found = search_ints(f, id->number, &index, err);
        if (found > 0 && load_row(f, f->int_rows, index, &row, err) != 0) return -1;
    }
    if (found > 0) *out_row = row;
    return found;
}

/* ---- Everything ---- */

static int corrupt(struct ids_file *f, const char *what, uint64_t at, struct error *err)
{
    return error_set(err, LYNSE_CORRUPT, "'%s': %s (%llu)", part_file_name(f->part), what,
                     (unsigned long long)at);
}

/* Every row: a valid id, texts without a gap between, LSNs in order; its bits go to the filter. */
static int verify_rows(struct ids_file *f, uint64_t *bloom, struct error *err)
{
    uint64_t lsn_before = 0, text_end = 0, texts = 0;
    for (uint32_t row = 0; row < f->row_count; row++) {
        struct record_id id;
        uint64_t key, lsn;
        struct error why = {0};
        if (ids_file_id(f, row, &id, err) != 0 || ids_file_lsn(f, row, &lsn, err) != 0) return -1;
        if (load_at_u64(f, f->row_ids, row, &key, err) != 0) return -1;
        if (id_check(&id, &why) != 0) return corrupt(f, why.text, row, err);
        if (lsn < lsn_before) return corrupt(f, "an LSN descends in row", row, err);
        lsn_before = lsn;
        if (id.is_text) {
            if (key != text_end) return corrupt(f, "a gap before the text id of row", row, err);
            text_end += 1 + id.text.size;
            texts++;
        }
        uint64_t hash = id_hash(&id);
        bloom_add(bloom + bloom_block_of(hash, f->bloom_blocks) * (BLOOM_BLOCK_BITS / 64), hash);
    }
    if (texts != f->text_count) return corrupt(f, "rows with a text id", texts, err);
    if (f->text && text_end != f->text->bytes)
        return corrupt(f, "bytes of text ids", text_end, err);
    uint64_t word = 0;
    if (f->row_kinds && load_at_u64(f, f->row_kinds, (f->row_count - 1) / 64, &word, err) != 0)
        return -1;
    if (f->row_count % 64 != 0 && word >> (f->row_count % 64) != 0)
        return corrupt(f, "kinds past the last row", f->row_count, err);
    return 0;
}

/* Both sorted lists: strictly ascending, each entry the id of its row.  As there are as many
 * entries as rows, each row stands in exactly one. */
static int verify_order(struct ids_file *f, struct error *err)
{
    struct record_id before = {0}, id;
    uint32_t row;
    uint64_t value;
    for (uint64_t i = 0; i < f->row_count; i++) {
        bool is_int = i < f->int_count;
        uint64_t index = is_int ? i : i - f->int_count;
        if (load_row(f, is_int ? f->int_rows : f->text_rows, index, &row, err) != 0) return -1;
        if (ids_file_id(f, row, &id, err) != 0) return -1;
        if (id.is_text == is_int) return corrupt(f, "a sorted id of the other kind", i, err);
        if (is_int && load_at_u64(f, f->ints, index, &value, err) != 0) return -1;
        if (is_int && value != id.number) return corrupt(f, "a sorted id is not its row's", i, err);
        if (i > 0 && id_compare(&before, &id) >= 0)
            return corrupt(f, "ids are not in order", i, err);
        before = id;
    }
    return 0;
}

int ids_file_verify(struct ids_file *f, struct error *err)
{
    if (part_file_verify(f->part, err) != 0) return -1;
    size_t bytes = (size_t)f->bloom_blocks * BLOOM_BLOCK_BYTES;
    uint64_t *bloom = (uint64_t *)mem_zalloc(f->alloc, MEM_GENERAL, bytes);
    if (!bloom) return error_no_memory(err, bytes);
    const void *stored;
    int rc = verify_rows(f, bloom, err);
    if (rc == 0) rc = verify_order(f, err);
    if (rc == 0) rc = part_file_borrow(f->part, f->bloom, 0, bytes, &stored, err);
    if (rc == 0 && memcmp(bloom, stored, bytes) != 0)
        rc = corrupt(f, "the filter is not that of the ids", f->row_count, err);
    mem_free(f->alloc, bloom);
    return rc;
}
