/* SPDX-License-Identifier: Apache-2.0 */
#include "model/reference.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "codec/msgpack.h"
#include "simd/kernels.h"
#include "support/metric_distance.h"

void reference_init(struct reference *r, struct alloc *a, uint8_t metric)
{
    *r = (struct reference){.alloc = a, .max_number = -1, .metric = metric};
    buf_init(&r->journal, a, MEM_GENERAL);
    buf_init(&r->heads, a, MEM_GENERAL);
}

void reference_deinit(struct reference *r)
{
    buf_deinit(&r->journal);
    buf_deinit(&r->heads);
}

/* ---- groups ---- */

int reference_judge(const struct reference *r, const struct ref_group *g, size_t *out_rows)
{
    size_t changed = 0;
    bool has_rows = g->kind == REF_ADD || g->kind == REF_UPSERT;

    *out_rows = 0;
    if (has_rows && r->dim != 0 && g->dim != r->dim) return LYNSE_DIMENSION;
    for (size_t i = 0; i < g->count && !g->is_auto; i++) {
        const struct ref_row *row = &r->rows[g->ids[i]];
        bool is_again = false; /* deletes and restores may name an id twice */
        for (size_t k = 0; k < i; k++) is_again = is_again || g->ids[k] == g->ids[i];
        if (g->kind == REF_ADD && row->is_live) return LYNSE_ALREADY_EXISTS;
        if (g->kind == REF_DELETE) changed += row->is_live && !is_again;
        if (g->kind == REF_RESTORE) changed += !row->is_live && row->newest && !is_again;
    }
    *out_rows = has_rows ? g->count : changed;
    return LYNSE_OK;
}

static void change(struct reference *r, int id, const struct ref_row *now)
{
    struct ref_change c = {r->lsn, id, r->rows[id]};

    buf_append(&r->journal, &c, sizeof c);
    r->live_count += now->is_live;
    r->live_count -= r->rows[id].is_live;
    r->rows[id] = *now;
}

void reference_apply(struct reference *r, const struct ref_group *g)
{
    struct ref_head head = {++r->lsn, r->max_number, r->dim};

    buf_append(&r->heads, &head, sizeof head);
    for (size_t i = 0; i < g->count; i++) {
        struct ref_row now = r->rows[g->ids[i]];
        if (g->kind == REF_DELETE) {
            if (!now.is_live) continue;
            now.is_live = false;
        } else if (g->kind == REF_RESTORE) {
            if (now.is_live || !now.newest) continue;
            now.is_live = true;
        } else {
            bool keeps = g->kind == REF_UPSERT && g->documents[i] == 0 && now.is_live;
            if (!keeps) now.document = g->documents[i];
            now.vector = g->vectors[i];
            now.newest = r->lsn;
            now.is_live = true;
            r->dim = g->dim;
            if (g->ids[i] < REF_NUMBERS && g->ids[i] > r->max_number) r->max_number = g->ids[i];
        }
        change(r, g->ids[i], &now);
    }
    CHECK(buf_ok(&r->journal) && buf_ok(&r->heads));
}

void reference_roll_back(struct reference *r, uint64_t lsn)
{
    while (r->journal.size > 0) {
        struct ref_change c;
        memcpy(&c, r->journal.data + r->journal.size - sizeof c, sizeof c);
        if (c.lsn <= lsn) break;
        r->live_count += c.before.is_live;
        r->live_count -= r->rows[c.id].is_live;
        r->rows[c.id] = c.before;
        r->journal.size -= sizeof c;
    }
    while (r->heads.size > 0) {
        struct ref_head head;
        memcpy(&head, r->heads.data + r->heads.size - sizeof head, sizeof head);
        if (head.lsn <= lsn) break;
        r->max_number = head.max_number;
        r->dim = head.dim;
        r->heads.size -= sizeof head;
    }
    r->lsn = lsn;
}

void reference_forget(struct reference *r, uint64_t lsn)
{
    if (lsn < r->lsn || r->journal.size < 1 << 16) return;
    buf_reset(&r->journal);
    buf_reset(&r->heads);
}

/* ---- rows ---- */

static const char *text_of(int index)
{
    static char texts[REF_TEXTS][32];
    char *text = texts[index];

    /* Of different lengths, some not ASCII, some the beginning of others. */
    if (!text[0])
        snprintf(text, sizeof texts[0], "%s%d", index % 7 == 0 ? "ä-" : "key", index * 37);
    return text;
}

struct record_id reference_id(int index)
{
    if (index < REF_NUMBERS) return id_of_number((uint64_t)index);
    return id_of_text(slice_of_text(text_of(index - REF_NUMBERS)));
}

int reference_index(const struct record_id *id)
{
    if (!id->is_text) return id->number < REF_NUMBERS ? (int)id->number : -1;
    for (int i = 0; i < REF_TEXTS; i++)
        if (slice_equal(slice_of_text(text_of(i)), id->text)) return REF_NUMBERS + i;
    return -1;
}

void reference_vector(uint32_t seed, uint32_t dim, float *out)
{
    for (uint32_t i = 0; i < dim; i++)
        out[i] = (float)((int)(hash_u64((uint64_t)seed << 32 | i) % 41) - 20) / 8.0f;
}

void reference_document(uint32_t seed, struct buf *out)
{
    char name[16];

    if (seed == 0) return;
    msgpack_write_map(out, 1 + seed % 3);
    msgpack_write_text(out, slice_of_text("seed"));
    msgpack_write_uint(out, seed);
    for (uint32_t i = 0; i < seed % 3; i++) {
        snprintf(name, sizeof name, "field%u", i);
        msgpack_write_text(out, slice_of_text(name));
        msgpack_write_text_head(out, seed % 97);
        buf_append_zeros(out, seed % 97);
    }
}

/* ---- search ---- */

static int compare_hits(const void *x, const void *y)
{
    const struct ref_hit *a = x, *b = y;

    if (a->distance != b->distance) return a->distance < b->distance ? -1 : 1;
    struct record_id id_a = reference_id(a->id), id_b = reference_id(b->id);
    return id_compare(&id_a, &id_b);
}

size_t reference_scan(const struct reference *r, const float *query, struct ref_hit out[REF_IDS])
{
    float vector[REF_DIM_MAX];
    size_t count = 0;

    for (int i = 0; i < REF_IDS; i++) {
        if (!r->rows[i].is_live) continue;
        reference_vector(r->rows[i].vector, r->dim, vector);
        out[count++] = (struct ref_hit){i, metric_distance(r->metric, query, vector, r->dim)};
    }
    qsort(out, count, sizeof *out, compare_hits);
    return count;
}

float reference_score(const struct reference *r, float distance)
{
    return metric_score(r->metric, distance);
}
