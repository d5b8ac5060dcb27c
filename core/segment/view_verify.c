/* SPDX-License-Identifier: Apache-2.0 */
/* view_verify.c — part by part: its files, its rows, its neighbours.
 *
 * WHAT        Each check of each part gives at most one finding, its first: where a file is
 *             damaged, a list of all that depends on it says nothing more.
 * INVARIANTS  (1) Parts follow one another in LSN order; within one, LSNs never descend.
 *             (2) What is wrong with one part does not keep the others from being looked at.
 * THREADS     Any; a view never changes.
 * FAILURE     Only what keeps it from looking on: memory, and who is asked.
 */
#include "segment/view_verify.h"

#include "index/index_probe.h"
#include "quant/narrow_rows.h"

enum {
    LOOK_ROWS = 4096, /* between two looks */
    PROBE_ROWS = 100,
    PROBE_K = 10,
};
/* An index over vectors that finds less of what is near is none; codes may be those of many. */
#define PROBE_RECALL_MIN 0.2

static int check_row(const struct view *v, size_t part, uint32_t row, uint64_t *last_lsn,
                     struct error *err)
{
    const struct view_part *p = &v->parts[part];
    char text[ID_TEXT_BYTES];
    struct doc_ref doc = {0};
    struct record_id id;
    size_t found_part;
    uint32_t found_row;
    uint64_t lsn;
    bool dead;

    if (segment_id(p->segment, row, &id, err) != 0 || segment_lsn(p->segment, row, &lsn, err) != 0)
        return -1;
    if (lsn < *last_lsn || lsn == 0)
        return error_set(err, LYNSE_CORRUPT, "part %zu: LSN of row %u descends", part, row);
    *last_lsn = lsn;
    if (segment_document(p->segment, row, &doc, err) != 0) return -1;
    doc_ref_release(&doc);
    if (tombstones_get(p->dead, row)) return 0;
    int found = view_find(v, &id, &found_part, &found_row, &dead, err);
    if (found < 0) return -1;
    if (found == 1 && found_part == part && found_row == row && !dead) return 0;
    if (found == 0)
        return error_set(err, LYNSE_CORRUPT, "id %s is live at %zu:%u and not found",
                         id_format(&id, text), part, row);
    return error_set(err, LYNSE_CORRUPT, "id %s is live at %zu:%u and found at %zu:%u",
                     id_format(&id, text), part, row, found_part, found_row);
}

/* Rows [row, end) can all be read. */
static int check_vectors(const struct view_part *p, uint32_t row, uint32_t end, struct error *err)
{
    const struct vector_source *source = &p->segment->vectors;
    struct row_run run;

    for (; row < end; row += run.row_count)
        if (vector_source_rows(source, row, end - row, &run, err) != 0) return -1;
    return 0;
}

/* LSNs never descend, all can be read, and every live row is what its id finds. */
static int check_rows(const struct view_verify_desc *d, size_t part, struct error *err)
{
    const struct view_part *p = &d->view->parts[part];
    uint64_t last_lsn = 0;

    for (uint32_t first = 0; first < p->row_count; first += LOOK_ROWS) {
        uint32_t left = p->row_count - first;
        uint32_t end = first + (left < LOOK_ROWS ? left : LOOK_ROWS);
        if (d->look && d->look(d->ctx, err) != 0) return -1;
        if (check_vectors(p, first, end, err) != 0) return -1;
        for (uint32_t row = first; row < end; row++)
            if (check_row(d->view, part, row, &last_lsn, err) != 0) return -1;
    }
    return 0;
}

/* Segments stand in LSN order, and their deletions are of rows that they have. */
static int check_order(const struct view *v, size_t part, struct error *err)
{
    const struct view_part *p = &v->parts[part];

    if (p->row_count > p->segment->row_capacity)
        return error_set(err, LYNSE_CORRUPT, "part %zu shows %u rows of %llu", part, p->row_count,
                         (unsigned long long)p->segment->row_capacity);
    if (tombstones_count(p->dead) > p->row_count)
        return error_set(err, LYNSE_CORRUPT, "part %zu has %u rows and more deletions", part,
                         p->row_count);
    if (part == 0 || p->row_count == 0) return 0;
    uint64_t before = v->parts[part - 1].segment->first_lsn;
    if (p->segment->first_lsn > before) return 0;
    return error_set(err, LYNSE_CORRUPT, "part %zu begins at LSN %llu, the one before at %llu",
                     part, (unsigned long long)p->segment->first_lsn, (unsigned long long)before);
}

/* Is it about the segment?  Else it is why nothing more can be looked at. */
static bool is_finding(const struct error *why)
{
    return why->code == LYNSE_CORRUPT || why->code == LYNSE_IO;
}

static int tell(const struct view_verify_desc *d, const struct error *why, struct error *err)
{
    if (!is_finding(why)) {
        if (err) *err = *why;
        return -1;
    }
    if (d->report(d->ctx, why) == 0) return 0;
    return error_set(err, LYNSE_NO_MEMORY, "the report has no room for: %s", why->text);
}

/* Stands for an index's rows while it is checked, and asks now and then whether it may go on. */
struct looking_source {
    struct vector_source base; /* first */
    const struct vector_source *rows;
    const struct view_verify_desc *desc;
    uint32_t asked;
};

static int look_now_and_then(const struct vector_source *s, struct error *err)
{
    struct looking_source *l = (struct looking_source *)(uintptr_t)s;

    if (++l->asked % LOOK_ROWS != 0 || !l->desc->look) return 0;
    return l->desc->look(l->desc->ctx, err);
}

static int looking_run(const struct vector_source *s, uint32_t row, uint32_t row_max,
                       struct vector_run *out, struct error *err)
{
    const struct vector_source *rows = ((const struct looking_source *)s)->rows;
    return look_now_and_then(s, err) != 0 ? -1 : rows->run(rows, row, row_max, out, err);
}

static int looking_run_narrow(const struct vector_source *s, uint32_t row, uint32_t row_max,
                              struct row_run *out, struct error *err)
{
    const struct vector_source *rows = ((const struct looking_source *)s)->rows;
    return look_now_and_then(s, err) != 0 ? -1 : rows->run_narrow(rows, row, row_max, out, err);
}

/* A loaded index against its rows; *why: a finding, or what keeps it from looking on. */
static int check_index(const struct view_verify_desc *d, const struct segment_index *index,
                       struct verified_index *out, struct error *why)
{
    struct index_probe_desc probe = {
        .alloc = d->alloc,
        .kernels = kernels_active(),
        .index = segment_index_get(index),
        .vectors = segment_index_vectors(index),
        .metric = segment_index_metric(index),
        .probe_count = PROBE_ROWS,
        .k = PROBE_K,
        .look = d->look,
        .ctx = d->ctx,
    };
    uint32_t row_count = probe.index->row_count;
    struct looking_source looking = {*probe.vectors, probe.vectors, d, 0};

    looking.base.run = looking_run;
    if (probe.vectors->run_narrow) looking.base.run_narrow = looking_run_narrow;
    looking.base.all = looking.base.all_norms = NULL; /* which nobody would ask for */
    *out = (struct verified_index){.index = index, .row_count = row_count};
    if (segment_index_check(index, &looking.base, why) != 0 ||
        index_probe(&probe, &out->recall, why) != 0)
        return -1;
    out->probe_count = PROBE_ROWS < row_count ? PROBE_ROWS : row_count;
    bool is_of_codes = segment_index_plan(index)->quantizer.kind != QUANTIZER_RAW;
    if (is_of_codes || out->recall >= PROBE_RECALL_MIN) return 0;
    return error_set(why, LYNSE_CORRUPT,
                     "the index finds %.0f %% of the %d nearest rows of %u of its rows",
                     100 * out->recall, PROBE_K, out->probe_count);
}

static int load(const struct view_verify_desc *d, struct segment_index *index, struct error *err)
{
    int rc = 0;

    while (rc == 0) {
        if (d->look && d->look(d->ctx, err) != 0) return -1;
        rc = segment_index_load_step(index, err);
    }
    return rc > 0 ? 0 : -1;
}

/* That an index could not be loaded. */
static int tell_unloaded(const struct view_verify_desc *d, const struct segment_index *index,
                         struct error *why, struct error *err)
{
    if (why->code == LYNSE_NOT_FOUND && d->is_shown && !d->is_shown(d->ctx, index)) return 0;
    if (segment_index_is_damage(why->code)) why->code = LYNSE_CORRUPT;
    return tell(d, why, err);
}

/* One that is not in memory is loaded beside it, for this look alone. */
static int verify_index(const struct view_verify_desc *d, size_t part, struct error *err)
{
    struct segment_index *shown = d->view->parts[part].index, *own = NULL;
    struct verified_index found;
    struct error why = {0};
    int rc = 0;

    if (!segment_index_get(shown) && segment_index_copy(shown, &own, err) != 0) return -1;
    if (own && load(d, own, &why) != 0) {
        rc = tell_unloaded(d, shown, &why, err);
    } else if (check_index(d, own ? own : shown, &found, &why) != 0) {
        error_wrap(&why, "part %zu", part);
        rc = tell(d, &why, err);
    } else if (d->report_index && d->report_index(d->ctx, &found) != 0) {
        rc = error_set(err, LYNSE_NO_MEMORY, "the report has no room for an index");
    }
    segment_index_release(own);
    return rc;
}

static int verify_part(const struct view_verify_desc *d, size_t part, struct error *err)
{
    struct segment *s = d->view->parts[part].segment;
    struct error why = {0};

    if (check_order(d->view, part, &why) != 0 && tell(d, &why, err) != 0) return -1;
    if (d->level < VERIFY_FULL) return 0;
    if (s->ops->verify && s->ops->verify(s, &why) != 0) return tell(d, &why, err);
    if (check_rows(d, part, &why) != 0 && tell(d, &why, err) != 0) return -1;
    if (d->level < VERIFY_DEEP || !d->view->parts[part].index) return 0;
    return verify_index(d, part, err);
}

int view_verify(const struct view_verify_desc *desc, struct error *err)
{
    for (size_t i = 0; i < desc->view->part_count; i++)
        if (verify_part(desc, i, err) != 0) return -1;
    return 0;
}
