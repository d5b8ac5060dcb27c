/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/oracle.h"

#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "codec/msgpack.h"

enum { STATES_MORE = 16 };

void oracle_init(struct lab_oracle *o, struct alloc *a, uint8_t level)
{
    *o = (struct lab_oracle){.alloc = a, .level = level, .capacity = STATES_MORE};
    o->states = mem_zalloc(a, MEM_GENERAL, o->capacity * sizeof *o->states);
    CHECK(o->states);
    o->states[0].max_number = -1;
}

void oracle_deinit(struct lab_oracle *o)
{
    mem_free(o->alloc, o->states);
    *o = (struct lab_oracle){0};
}

void oracle_copy(struct lab_oracle *to, const struct lab_oracle *from)
{
    *to = *from;
    to->capacity = from->top + 1 + STATES_MORE;
    to->states = mem_alloc(to->alloc, MEM_GENERAL, to->capacity * sizeof *to->states);
    CHECK(to->states);
    memcpy(to->states, from->states, (from->top + 1) * sizeof *to->states);
}

/* ---- groups ---- */

static void apply_row(struct oracle_row *r, const struct oracle_group *g, size_t i, uint16_t lsn)
{
    switch (g->kind) {
    case GROUP_DELETE:
        r->is_live = false;
        return;
    case GROUP_RESTORE:
        r->is_live = true;
        return;
    case GROUP_KEEP:
        if (!r->is_live) r->doc = 0;
        break;
    default:
        r->doc = g->values[i];
        r->is_large = g->is_large;
        break;
    }
    r->value = g->values[i];
    r->newest = lsn;
    r->is_live = true;
}

static void reserve_state(struct lab_oracle *o)
{
    if (o->lsn + 1 < o->capacity) return;
    o->capacity *= 2;
    o->states = mem_resize(o->alloc, MEM_GENERAL, o->states, o->capacity * sizeof *o->states);
    CHECK(o->states);
}

void oracle_submit(struct lab_oracle *o, const struct oracle_group *g, int *out_code,
                   size_t *out_rows)
{
    reserve_state(o);
    const struct oracle_state *before = &o->states[o->lsn];
    struct oracle_state *after = &o->states[o->lsn + 1];
    size_t changed = 0;

    *after = *before;
    after->group = (struct oracle_group){0};
    /* What nothing logs, no request can make durable. */
    after->level = g->level && o->level != SYNC_NONE ? g->level : o->level;
    *out_code = LYNSE_OK;
    *out_rows = 0;
    for (size_t i = 0; i < g->count; i++) {
        struct oracle_row *r = &after->rows[g->ids[i]];
        if (g->kind == GROUP_ADD && r->is_live) {
            *out_code = LYNSE_ALREADY_EXISTS;
            return;
        }
        if (g->kind == GROUP_DELETE && !r->is_live) continue;
        if (g->kind == GROUP_RESTORE && (r->is_live || r->newest == 0)) continue;
        apply_row(r, g, i, (uint16_t)(o->lsn + 1));
        if (g->kind < GROUP_DELETE && g->ids[i] < ORACLE_NUMBERS && g->ids[i] > after->max_number)
            after->max_number = g->ids[i];
        changed++;
    }
    *out_rows = changed;
    if (changed == 0) return;
    o->top = ++o->lsn;
    after->group = *g;
    after->row_count = (uint16_t)changed;
    size_t from = o->lsn > LIMIT_REQUESTS ? o->lsn - LIMIT_REQUESTS + 1 : 1;
    if (from > o->remembered_from) o->remembered_from = from;
}

void oracle_take_back(struct lab_oracle *o, size_t lsn)
{
    if (o->lsn > lsn) o->lsn = lsn;
}

/* ---- rows ---- */

struct record_id oracle_id(int index)
{
    static const char texts[ORACLE_TEXTS][6] = {
        "id-A", "id-B", "id-C", "id-D", "id-E", "id-F", "id-G", "id-H", "id-I",
        "id-J", "id-K", "id-L", "id-M", "id-N", "id-O", "id-P", "id-Q", "id-R",
        "id-S", "id-T", "id-U", "id-V", "id-W", "id-X", "id-Y", "id-Z"};

    if (index < ORACLE_NUMBERS) return id_of_number((uint64_t)index);
    return id_of_text(slice_of_text(texts[index - ORACLE_NUMBERS]));
}

void oracle_vector(int id, uint16_t value, float out[ORACLE_DIM])
{
    if (value >= ORACLE_UNNAMED) id = 0;
    for (int i = 0; i < ORACLE_DIM; i++)
        out[i] = (float)((int)(hash_u64((uint64_t)id << 32 | (uint64_t)value << 8 | (unsigned)i) %
                               2001) -
                         1000) /
                 64.0f;
}

static void append_document(struct buf *out, uint16_t doc, bool is_large)
{
    char pad[1024];
    size_t size = is_large ? 900 : (size_t)(doc * 37 % 90);

    memset(pad, 'x', sizeof pad);
    msgpack_write_map(out, 2);
    msgpack_write_text(out, slice_of_text("v"));
    msgpack_write_uint(out, doc);
    msgpack_write_text(out, slice_of_text("pad"));
    msgpack_write_text(out, slice_of(pad, size));
}

void oracle_rows_make(struct oracle_rows *out, struct alloc *a, const struct oracle_group *g)
{
    size_t ends[ORACLE_ROWS + 1] = {0};

    buf_init(&out->bytes, a, MEM_GENERAL);
    for (size_t i = 0; i < g->count; i++) {
        out->ids[i] = oracle_id(g->ids[i]);
        oracle_vector(g->ids[i], g->values[i], out->vectors + i * ORACLE_DIM);
        if (g->kind != GROUP_KEEP) append_document(&out->bytes, g->values[i], g->is_large);
        ends[i + 1] = out->bytes.size;
    }
    CHECK(buf_ok(&out->bytes));
    for (size_t i = 0; i < g->count; i++)
        out->documents[i] = slice_of(out->bytes.data + ends[i], ends[i + 1] - ends[i]);
}

void oracle_rows_deinit(struct oracle_rows *r)
{
    buf_deinit(&r->bytes);
}

/* ---- comparing ---- */

static int index_of(const struct record_id *id)
{
    if (!id->is_text) return id->number < ORACLE_NUMBERS ? (int)id->number : -1;
    if (id->text.size != 4 || memcmp(id->text.data, "id-", 3) != 0) return -1;
    int letter = id->text.data[3] - 'A';
    return letter >= 0 && letter < ORACLE_TEXTS ? ORACLE_NUMBERS + letter : -1;
}

static int say(char why[WHY_BYTES], const char *text, const struct record_id *id, size_t lsn,
               const struct error *err)
{
    char name[ID_TEXT_BYTES];
    snprintf(why, WHY_BYTES, "%s: id %s in the state after LSN %zu%s%s", text, id_format(id, name),
             lsn, err && err->code ? ": " : "", err && err->code ? err->text : "");
    return err && err->code == LYNSE_CORRUPT ? ORACLE_CORRUPT : -1;
}

static int compare_document(const struct oracle_row *want, struct slice got, struct alloc *a)
{
    struct buf b;

    buf_init(&b, a, MEM_GENERAL);
    if (want->doc) append_document(&b, want->doc, want->is_large);
    int is_equal = slice_equal(buf_slice(&b), got);
    buf_deinit(&b);
    return is_equal ? 0 : -1;
}

/* The bytes of one row against what its version was made of. */
static int compare_row(const struct lab_oracle *o, const struct view_part *p, uint32_t row,
                       int index, size_t lsn, char why[WHY_BYTES])
{
    const struct oracle_row *want = &o->states[lsn].rows[index];
    struct record_id id = oracle_id(index);
    struct vector_run run;
    struct doc_ref doc = {0};
    struct error err = {0};
    float vector[ORACLE_DIM];
    uint64_t row_lsn;

    if (segment_lsn(p->segment, row, &row_lsn, &err) != 0)
        return say(why, "LSN unreadable", &id, lsn, &err);
    if (row_lsn != want->newest) return say(why, "another version", &id, lsn, NULL);
    if (p->segment->vectors.run(&p->segment->vectors, row, 1, &run, &err) != 0)
        return say(why, "vector unreadable", &id, lsn, &err);
    oracle_vector(index, want->value, vector);
    if (memcmp(run.vectors, vector, sizeof vector) != 0)
        return say(why, "wrong vector", &id, lsn, NULL);
    if (segment_document(p->segment, row, &doc, &err) != 0)
        return say(why, "document unreadable", &id, lsn, &err);
    int rc = compare_document(want, doc.document, o->alloc);
    doc_ref_release(&doc);
    return rc == 0 ? 0 : say(why, "wrong document", &id, lsn, NULL);
}

static int compare_id(const struct lab_oracle *o, struct view *v, int index, size_t lsn,
                      char why[WHY_BYTES])
{
    const struct oracle_row *want = &o->states[lsn].rows[index];
    struct record_id id = oracle_id(index);
    struct error err = {0};
    size_t part = 0;
    uint32_t row = 0;
    bool is_dead = true;
    int found = view_find(v, &id, &part, &row, &is_dead, &err);

    if (found < 0) return say(why, "cannot look up", &id, lsn, &err);
    if (want->newest == 0) return found ? say(why, "phantom", &id, lsn, NULL) : 0;
    if (!found) return say(why, want->is_live ? "lost" : "reclaimed", &id, lsn, NULL);
    if (is_dead && want->is_live) return say(why, "not live", &id, lsn, NULL);
    if (!is_dead && !want->is_live) return say(why, "still live", &id, lsn, NULL);
    return compare_row(o, &v->parts[part], row, index, lsn, why);
}

/* Every live row is one that its id finds: no second live version, no unknown id. */
static int compare_live_rows(const struct lab_oracle *o, struct view *v, size_t lsn,
                             char why[WHY_BYTES])
{
    bool is_seen[ORACLE_IDS] = {false};
    struct error err = {0};

    for (size_t i = 0; i < v->part_count; i++) {
        for (uint32_t row = 0; row < v->parts[i].row_count; row++) {
            struct record_id id;
            if (tombstones_get(v->parts[i].dead, row)) continue;
            if (segment_id(v->parts[i].segment, row, &id, &err) != 0) {
                id = id_of_number(0);
                return say(why, "id unreadable", &id, lsn, &err);
            }
            int index = index_of(&id);
            if (index < 0 || !o->states[lsn].rows[index].is_live)
                return say(why, "phantom row", &id, lsn, NULL);
            if (is_seen[index]) return say(why, "two live versions", &id, lsn, NULL);
            is_seen[index] = true;
        }
    }
    return 0;
}

int oracle_compare(const struct lab_oracle *o, struct view *v, size_t lsn, char why[WHY_BYTES])
{
    uint64_t live = 0;

    int rc = 0;

    for (int i = 0; i < ORACLE_IDS && rc == 0; i++) {
        rc = compare_id(o, v, i, lsn, why);
        live += o->states[lsn].rows[i].is_live;
    }
    if (rc == 0) rc = compare_live_rows(o, v, lsn, why);
    if (rc != 0) return rc;
    if (v->live_count == live && v->lsn == lsn) return 0;
    snprintf(why, WHY_BYTES, "the view counts %llu live rows at LSN %llu, want %llu at %zu",
             (unsigned long long)v->live_count, (unsigned long long)v->lsn,
             (unsigned long long)live, lsn);
    return -1;
}
