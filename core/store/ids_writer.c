/* SPDX-License-Identifier: Apache-2.0 */
/* ids_writer.c — the ids part of a new segment (FORMAT.md 7), in steps.
 *
 * WHAT        One pass over the rows gathers keys, texts and the Bloom filter; the row numbers are
 *             sorted by id; then the sections are written one after the other.  Each pass is cut
 *             into steps of about BUILD_STEP_ROWS rows or BUILD_STEP_BYTES bytes.
 * INVARIANTS  (1) What ids_file_verify demands: LSNs never descend, ids are valid and unique.  Rows
 *                 come from files too, so a breach is CORRUPT, not a CHECK.
 *             (2) Where a pass stands is in the writer alone, so that any thread may take the next
 *                 step.
 * THREADS     One job.  Memory: about 26 bytes a row, and the texts.
 * FAILURE     No file is left.
 */
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "store/ids_bloom.h"
#include "store/ids_file.h"

enum { SECTIONS_MAX = 8 };

enum ids_phase {
    IDS_GATHER,
    IDS_PLACE_TEXTS,
    IDS_SORT_INTS,
    IDS_SORT_TEXTS,
    IDS_COMPARE,
    IDS_WRITE,
    IDS_FINISH,
    IDS_DONE,
};

/* A bottom-up merge sort of order[first, end), which may stop anywhere: runs of `width` rows are
 * merged from `from` into `to`, and this one stands at [lo, hi), written up to `at`. */
struct row_sort {
    size_t first, end, width;
    size_t lo, mid, hi;
    size_t left, right, at;
    uint32_t *from, *to;
};

/* A section, and where its bytes are; data NULL: the integers in their order. */
struct ids_section {
    enum section_kind kind;
    uint32_t element_bytes;
    uint64_t number;
    const void *data;
    size_t bytes;
};

struct ids_writer {
    struct alloc *alloc;
    struct part_writer *part;
    struct ids_source rows;
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
    /* Where it stands. */
    enum ids_phase phase;
    uint32_t row;        /* GATHER, PLACE_TEXTS, COMPARE: the next one */
    uint32_t text_place; /* PLACE_TEXTS: in order */
    struct row_sort sort;
    struct ids_section sections[SECTIONS_MAX];
    size_t section_count;
    size_t section;       /* WRITE: the one that is written */
    size_t section_bytes; /* of it that are */
};

static void *take(struct ids_writer *w, size_t count, size_t bytes, struct error *err)
{
    void *block = mem_zalloc(w->alloc, MEM_GENERAL, count * bytes);
    if (!block) error_no_memory(err, count * bytes);
    return block;
}

static int reserve(struct ids_writer *w, struct error *err)
{
    size_t n = w->row_count;

    w->bloom_blocks = bloom_block_count(n);
    w->keys = (uint64_t *)take(w, n, sizeof *w->keys, err);
    if (!w->keys) return -1;
    w->lsns = (uint64_t *)take(w, n, sizeof *w->lsns, err);
    if (!w->lsns) return -1;
    w->kinds = (uint64_t *)take(w, (n + 63) / 64, sizeof *w->kinds, err);
    if (!w->kinds) return -1;
    w->bloom = (uint64_t *)take(w, (size_t)w->bloom_blocks, BLOOM_BLOCK_BYTES, err);
    if (!w->bloom) return -1;
    w->order = (uint32_t *)take(w, n, sizeof *w->order, err);
    if (!w->order) return -1;
    w->spare = (uint32_t *)take(w, n, sizeof *w->spare, err);
    return w->spare ? 0 : -1;
}

int ids_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                      const struct uuid *segment, const struct ids_source *rows, struct rng *rng,
                      struct ids_writer **out, struct error *err)
{
    if (rows->row_count == 0 || rows->row_count >= UINT32_MAX)
        return error_set(err, LYNSE_LIMIT, "a segment has 1 to %u rows, not %llu", UINT32_MAX - 1,
                         (unsigned long long)rows->row_count);
    struct ids_writer *w = (struct ids_writer *)mem_zalloc(a, MEM_GENERAL, sizeof *w);
    if (!w) return error_no_memory(err, sizeof *w);
    w->alloc = a;
    w->rows = *rows;
    w->row_count = (uint32_t)rows->row_count;
    buf_init(&w->texts, a, MEM_GENERAL);
    if (reserve(w, err) != 0 || part_writer_create(a, dir, owner, segment, PART_IDS, 0,
                                                   w->row_count, rng, &w->part, err) != 0) {
        ids_writer_destroy(w);
        return -1;
    }
    *out = w;
    return 0;
}

void ids_writer_destroy(struct ids_writer *w)
{
    if (!w) return;
    part_writer_destroy(w->part);
    mem_free(w->alloc, w->keys);
    mem_free(w->alloc, w->lsns);
    mem_free(w->alloc, w->kinds);
    mem_free(w->alloc, w->bloom);
    mem_free(w->alloc, w->order);
    mem_free(w->alloc, w->spare);
    buf_deinit(&w->texts);
    mem_free(w->alloc, w);
}

static bool is_text(const struct ids_writer *w, uint32_t row)
{
    return w->kinds[row / 64] >> (row % 64) & 1;
}

static struct record_id id_of(const struct ids_writer *w, uint32_t row)
{
    if (!is_text(w, row)) return id_of_number(w->keys[row]);
    const uint8_t *text = w->texts.data + w->keys[row];
    return id_of_text(slice_of(text + 1, text[0]));
}

/* Where a pass over the rows stops this time. */
static uint32_t row_to_stop_at(const struct ids_writer *w)
{
    uint32_t left = w->row_count - w->row;
    return w->row + (left < BUILD_STEP_ROWS ? left : BUILD_STEP_ROWS);
}

/* ---- Gathering ---- */

static int gather_row(struct ids_writer *w, uint32_t row, struct error *err)
{
    struct record_id id = w->rows.id(w->rows.ctx, row);
    struct error why = {0};

    if (id_check(&id, &why) != 0)
        return error_set(err, LYNSE_CORRUPT, "row %u to be sealed: %s", row, why.text);
    w->lsns[row] = w->rows.lsn(w->rows.ctx, row);
    if (row > 0 && w->lsns[row] < w->lsns[row - 1])
        return error_set(err, LYNSE_CORRUPT, "row %u to be sealed has LSN %llu behind %llu", row,
                         (unsigned long long)w->lsns[row], (unsigned long long)w->lsns[row - 1]);
    uint64_t hash = id_hash(&id);
    bloom_add(w->bloom + bloom_block_of(hash, w->bloom_blocks) * (BLOOM_BLOCK_BITS / 64), hash);
    w->keys[row] = id.is_text ? w->texts.size : id.number;
    if (!id.is_text) {
        w->order[w->int_count++] = row;
        return 0;
    }
    w->kinds[row / 64] |= 1ull << (row % 64);
    buf_append_u8(&w->texts, (uint8_t)id.text.size);
    buf_append(&w->texts, id.text.data, id.text.size);
    return buf_ok(&w->texts) ? 0 : error_no_memory(err, w->texts.size);
}

static int gather(struct ids_writer *w, struct error *err)
{
    for (uint32_t stop = row_to_stop_at(w); w->row < stop; w->row++)
        if (gather_row(w, w->row, err) != 0) return -1;
    if (w->row < w->row_count) return 0;
    w->text_place = w->int_count;
    w->phase = w->int_count < w->row_count ? IDS_PLACE_TEXTS : IDS_SORT_INTS;
    w->row = 0;
    return 0;
}

/* Rows of texts stand behind all of those of integers. */
static void place_texts(struct ids_writer *w)
{
    for (uint32_t stop = row_to_stop_at(w); w->row < stop; w->row++)
        if (is_text(w, w->row)) w->order[w->text_place++] = w->row;
    if (w->row == w->row_count) w->phase = IDS_SORT_INTS;
}

/* ---- Order ---- */

static bool is_before(const struct ids_writer *w, uint32_t row, uint32_t other)
{
    struct record_id x = id_of(w, row), y = id_of(w, other);
    return id_compare(&x, &y) < 0;
}

/* Set up the merge of from[lo, mid) and from[mid, hi), each sorted, into to[lo, hi). */
static void sort_open_run(struct row_sort *s)
{
    s->mid = s->end - s->lo > s->width ? s->lo + s->width : s->end;
    s->hi = s->end - s->mid > s->width ? s->mid + s->width : s->end;
    s->left = s->at = s->lo;
    s->right = s->mid;
}

static void sort_begin(struct ids_writer *w, size_t first, size_t end)
{
    w->sort = (struct row_sort){.first = first, .end = end, .width = 1, .lo = first};
    w->sort.from = w->order;
    w->sort.to = w->spare;
    sort_open_run(&w->sort);
}

/* Go on with the merge for up to row_max rows; their number. */
static size_t sort_merge(const struct ids_writer *w, struct row_sort *s, size_t row_max)
{
    size_t stop = s->hi - s->at < row_max ? s->hi : s->at + row_max, begin = s->at;

    if (s->at == s->lo &&
        (s->mid == s->hi || !is_before(w, s->from[s->mid], s->from[s->mid - 1]))) {
        memcpy(s->to + s->lo, s->from + s->lo, (s->hi - s->lo) * sizeof *s->to); /* in order */
        s->at = s->hi;
        return s->hi - s->lo;
    }
    for (; s->at < stop; s->at++) {
        bool take_right = s->left == s->mid ||
                          (s->right < s->hi && is_before(w, s->from[s->right], s->from[s->left]));
        s->to[s->at] = s->from[take_right ? s->right++ : s->left++];
    }
    return s->at - begin;
}

/* True when order[first, end) is sorted by id. */
static bool sort_step(struct ids_writer *w)
{
    struct row_sort *s = &w->sort;

    for (size_t done = 0; s->width < s->end - s->first && done < BUILD_STEP_ROWS;) {
        done += sort_merge(w, s, BUILD_STEP_ROWS - done);
        if (s->at < s->hi) return false;
        s->lo = s->hi;
        if (s->lo == s->end) {
            uint32_t *swap = s->from;
            s->from = s->to;
            s->to = swap;
            s->width *= 2;
            s->lo = s->first;
        }
        sort_open_run(s);
    }
    if (s->width < s->end - s->first) return false;
    if (s->from != w->order)
        memcpy(w->order + s->first, s->from + s->first, (s->end - s->first) * sizeof *s->from);
    return true;
}

static int compare_neighbours(struct ids_writer *w, struct error *err)
{
    for (uint32_t stop = row_to_stop_at(w); w->row < stop; w->row++) {
        uint32_t i = w->row;
        char text[ID_TEXT_BYTES];
        if (i == 0) continue;
        struct record_id id = id_of(w, w->order[i]), before = id_of(w, w->order[i - 1]);
        if (id_equal(&id, &before))
            return error_set(err, LYNSE_CORRUPT, "rows %u and %u to be sealed have the same id %s",
                             w->order[i - 1], w->order[i], id_format(&id, text));
    }
    return 0;
}

/* ---- Sections ---- */

static void add_section(struct ids_writer *w, enum section_kind kind, uint32_t element_bytes,
                        uint64_t number, const void *data, size_t bytes)
{
    CHECK(w->section_count < SECTIONS_MAX);
    w->sections[w->section_count++] =
        (struct ids_section){kind, element_bytes, number, data, bytes};
}

static void list_sections(struct ids_writer *w)
{
    size_t n = w->row_count, ints = w->int_count;

    add_section(w, SECTION_ROW_IDS, 8, 0, w->keys, n * 8);
    add_section(w, SECTION_ROW_LSNS, 8, 0, w->lsns, n * 8);
    if (ints < n) {
        add_section(w, SECTION_ROW_KINDS, 8, 0, w->kinds, (n + 63) / 64 * 8);
        add_section(w, SECTION_TEXT, 0, 0, w->texts.data, w->texts.size);
        add_section(w, SECTION_SORTED_TEXT_ROWS, 4, 0, w->order + ints, (n - ints) * 4);
    }
    if (ints > 0) {
        add_section(w, SECTION_SORTED_INTS, 8, 0, NULL, ints * 8);
        add_section(w, SECTION_SORTED_INT_ROWS, 4, 0, w->order, ints * 4);
    }
    add_section(w, SECTION_BLOOM, BLOOM_BLOCK_BYTES, w->bloom_blocks, w->bloom,
                (size_t)w->bloom_blocks * BLOOM_BLOCK_BYTES);
}

/* `bytes` of the integers in their order, from byte `at` of them. */
static int write_sorted_ints(struct ids_writer *w, size_t at, size_t bytes, struct error *err)
{
    enum { PIECE = 512 };
    uint64_t values[PIECE];

    for (size_t i = at / 8, end = (at + bytes) / 8; i < end;) {
        size_t count = end - i < PIECE ? end - i : PIECE;
        for (size_t k = 0; k < count; k++) values[k] = w->keys[w->order[i + k]];
        if (part_writer_write(w->part, values, count * sizeof *values, err) != 0) return -1;
        i += count;
    }
    return 0;
}

static int write_sections(struct ids_writer *w, struct error *err)
{
    const struct ids_section *s = &w->sections[w->section];
    size_t at = w->section_bytes, left = s->bytes - at;
    size_t bytes = left < BUILD_STEP_BYTES ? left : BUILD_STEP_BYTES;

    if (at == 0 && part_writer_begin(w->part, s->kind, s->element_bytes, s->number, err) != 0)
        return -1;
    if ((s->data ? part_writer_write(w->part, (const uint8_t *)s->data + at, bytes, err)
                 : write_sorted_ints(w, at, bytes, err)) != 0)
        return -1;
    w->section_bytes += bytes;
    if (w->section_bytes < s->bytes) return 0;
    if (part_writer_end(w->part, err) != 0) return -1;
    w->section_bytes = 0;
    if (++w->section == w->section_count) w->phase = IDS_FINISH;
    return 0;
}

/* ---- The whole ---- */

int ids_writer_step(struct ids_writer *w, struct manifest_part *out_part, struct error *err)
{
    int rc = 0;

    switch (w->phase) {
    case IDS_GATHER:
        rc = gather(w, err);
        if (w->phase == IDS_SORT_INTS) sort_begin(w, 0, w->int_count);
        break;
    case IDS_PLACE_TEXTS:
        place_texts(w);
        if (w->phase == IDS_SORT_INTS) sort_begin(w, 0, w->int_count);
        break;
    case IDS_SORT_INTS:
        if (!sort_step(w)) break;
        w->phase = IDS_SORT_TEXTS;
        sort_begin(w, w->int_count, w->row_count);
        break;
    case IDS_SORT_TEXTS:
        if (!sort_step(w)) break;
        w->phase = IDS_COMPARE;
        w->row = 0;
        break;
    case IDS_COMPARE:
        rc = compare_neighbours(w, err);
        if (w->row < w->row_count) break;
        w->phase = IDS_WRITE;
        list_sections(w);
        break;
    case IDS_WRITE:
        rc = write_sections(w, err);
        break;
    case IDS_FINISH:
        rc = part_writer_finish(w->part, 0, out_part, err);
        w->phase = IDS_DONE;
        break;
    case IDS_DONE:
        UNREACHABLE();
    }
    if (rc != 0) return -1;
    return w->phase == IDS_DONE ? 1 : 0;
}
