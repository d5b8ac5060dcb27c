/* SPDX-License-Identifier: Apache-2.0 */
/* bed.h — one collection on a file system of the test's, and a model of what it must hold.
 *
 * The model knows ids 0..127 (integers) and 128..191 (texts "t<n>").  A version is told by its
 * vector's first component; fields are {"n": n} or absent.
 */
#ifndef COLLECTION_BED_H
#define COLLECTION_BED_H

#include "base/limits.h"
#include "collection/collection.h"
#include "segment/sealed_segment.h"
#include "support/close_collection.h"
#include "support/test.h"

enum { MODEL_INTS = 128, MODEL_IDS = 192, BED_DIM = 2, BED_WRITES_MAX = 8, BED_ROWS_MAX = 64 };
enum { BED_MAP_BYTES = 6000 };

/* ---- the model ---- */

struct model_row {
    bool is_known; /* there is a version */
    bool is_live;
    uint16_t version;
    uint8_t n; /* 0: no fields */
};
struct model {
    struct model_row rows[MODEL_IDS];
    uint64_t lsn;
    bool has_int_id;
    uint64_t max_int_id;
};

struct model_write {
    enum write_kind kind;
    bool gives_ids; /* ADD without ids */
    uint8_t ids[BED_ROWS_MAX];
    uint8_t count;
    uint16_t version;
    uint8_t n;     /* 0: none given */
    bool is_large; /* fields of BED_MAP_BYTES */
};

/* Rows changed; -1: refused with ALREADY_EXISTS. */
static inline int model_apply(struct model *m, const struct model_write *w)
{
    bool has_rows = w->kind == WRITE_ADD || w->kind == WRITE_UPSERT;
    int changed = 0;
    for (size_t i = 0; i < w->count && w->kind == WRITE_ADD && !w->gives_ids; i++)
        if (m->rows[w->ids[i]].is_live) return -1;
    uint64_t next = m->has_int_id ? m->max_int_id + 1 : 0;
    for (size_t i = 0; i < w->count; i++) {
        uint64_t id = w->gives_ids ? next + i : w->ids[i];
        struct model_row *r = &m->rows[id];
        if (has_rows) {
            uint8_t kept = r->is_live && w->kind == WRITE_UPSERT ? r->n : 0;
            *r = (struct model_row){true, true, w->version, w->n ? w->n : kept};
            changed++;
            if (id < MODEL_INTS && (!m->has_int_id || id > m->max_int_id)) {
                m->max_int_id = id;
                m->has_int_id = true;
            }
        } else if (r->is_known && r->is_live == (w->kind == WRITE_DELETE)) {
            r->is_live = !r->is_live;
            changed++;
        }
    }
    m->lsn += changed > 0;
    return changed;
}

/* ---- the collection ---- */

struct bed {
    struct alloc *alloc; /* the collection's */
    struct vfs *fs;
    struct vfs_dir *root;
    struct doc_cache *cache;
    struct view_slot slot;
    struct manual_clock clock;
    struct rng rng;
    struct collection *c;
    bool may_sync;
    bool read_only;
    size_t answered; /* writes of the batch */
    struct collection_write *order[BED_WRITES_MAX];
};

static inline void bed_written(void *ctx, struct collection_write *w)
{
    struct bed *b = ctx;
    b->order[b->answered++] = w;
}

static inline struct collection_desc bed_desc(struct bed *b)
{
    struct collection_desc desc = {
        .alloc = b->alloc,
        .owner = {.root = {{1}}, .collection = {{2}}},
        .number = 7,
        .clock = &b->clock.base,
        .rng = &b->rng,
        .cache = b->cache,
        .slot = &b->slot,
        .read_only = b->read_only,
        .may_sync = b->may_sync,
        .on_written = bed_written,
        .on_written_ctx = b,
    };
    return desc;
}

/* An empty collection; a and fs are borrowed. */
static inline int bed_create(struct bed *b, struct alloc *a, struct vfs *fs, uint8_t level,
                             uint64_t seed, struct error *err)
{
    *b = (struct bed){.alloc = a, .fs = fs, .may_sync = true};
    manual_clock_init(&b->clock, 1000000);
    rng_init(&b->rng, seed);
    view_slot_init(&b->slot);
    if (vfs_dir_open(fs, "/bed", VFS_DIR_CREATE, &b->root, err) != 0) return -1;
    if (doc_cache_create(a, DOC_CACHE_BYTES, &b->cache, err) != 0) return -1;
    struct collection_options options = {
        .dim = BED_DIM, .metric = 2, .sync_level = level, .sync_interval_ms = 100};
    struct collection_desc desc = bed_desc(b);
    desc.take_dir = b->root;
    return collection_create(&desc, &options, err);
}

static inline int bed_open(struct bed *b, struct error *err)
{
    struct collection_desc desc = bed_desc(b);
    if (vfs_dir_open(b->fs, "/bed", 0, &desc.take_dir, err) != 0) return -1;
    return collection_open(&desc, &b->c, err);
}

/* Without writing: as a killed process leaves it. */
static inline void bed_abandon(struct bed *b)
{
    if (b->c) collection_abandon(b->c);
    b->c = NULL;
    view_slot_publish(&b->slot, NULL);
}

static inline int bed_close(struct bed *b, struct error *err)
{
    int rc = close_collection(b->c, err);
    b->c = NULL;
    view_slot_publish(&b->slot, NULL);
    return rc;
}

static inline void bed_destroy(struct bed *b)
{
    bed_abandon(b);
    view_slot_deinit(&b->slot);
    doc_cache_destroy(b->cache);
    vfs_dir_close(b->root);
}

/* ---- writing ---- */

struct bed_write {
    struct collection_write base; /* first */
    struct record_id ids[BED_ROWS_MAX];
    float vectors[BED_ROWS_MAX * BED_DIM];
    struct slice documents[BED_ROWS_MAX];
    uint8_t map[BED_MAP_BYTES];
    char texts[BED_ROWS_MAX][8];
};

static inline struct record_id bed_id(uint64_t i, char text[8])
{
    if (i < MODEL_INTS) return id_of_number(i);
    snprintf(text, 8, "t%u", (unsigned)(i - MODEL_INTS) % 100);
    return id_of_text(slice_of_text(text));
}

static inline void bed_fill(struct bed_write *w, const struct model_write *m, uint8_t sync)
{
    memset(w, 0, sizeof *w);
    memcpy(w->map, m->is_large ? "\x82\xa1n" : "\x81\xa1n", 3);
    w->map[3] = m->n;
    size_t pad = BED_MAP_BYTES - 9; /* {"n": n, "p": bytes} */
    memcpy(w->map + 4, (uint8_t[]){0xa1, 'p', 0xc5, (uint8_t)(pad >> 8), (uint8_t)pad}, 5);
    for (size_t i = 0; i < m->count; i++) {
        w->ids[i] = bed_id(m->ids[i], w->texts[i]);
        w->vectors[i * BED_DIM] = m->version;
        w->documents[i] = slice_of(w->map, !m->n ? 0 : m->is_large ? sizeof w->map : 4);
    }
    bool has_rows = m->kind == WRITE_ADD || m->kind == WRITE_UPSERT;
    w->base = (struct collection_write){
        .kind = m->kind,
        .ids = m->gives_ids ? NULL : w->ids,
        .count = m->count,
        .vectors = has_rows ? w->vectors : NULL,
        .dim = has_rows ? BED_DIM : 0,
        .documents = has_rows && m->n ? w->documents : NULL,
        .sync = sync,
    };
}

/* ---- comparing ---- */

/* Is the view what the model says?  Reading may fail, too: then *err says so. */
static inline bool bed_is_row(const struct view *v, uint64_t i, const struct model_row *r,
                              struct error *err)
{
    char text[8];
    struct record_id id = bed_id(i, text);
    size_t part;
    uint32_t row;
    bool is_dead;
    struct doc_ref doc = {0};
    struct vector_run run;
    int found = view_find(v, &id, &part, &row, &is_dead, err);
    if (found < 0) return false;
    if (found != r->is_known) return false;
    if (found == 0 || is_dead != !r->is_live) return found == 0;
    struct segment *s = v->parts[part].segment;
    if (s->vectors.run(&s->vectors, row, 1, &run, err) != 0) return false;
    if (run.vectors[0] != r->version) return false;
    if (segment_document(s, row, &doc, err) != 0) return false;
    uint8_t n = doc.document.size > 0 ? doc.document.data[3] : 0;
    doc_ref_release(&doc);
    return n == r->n;
}

static inline bool bed_is(struct bed *b, const struct model *m, struct error *err)
{
    struct view *v = view_slot_acquire(&b->slot);
    uint64_t live = 0;
    assert_non_null(v);
    bool same = true;
    for (uint64_t i = 0; i < MODEL_IDS && same; i++) {
        same = bed_is_row(v, i, &m->rows[i], err);
        live += m->rows[i].is_known && m->rows[i].is_live;
    }
    same = same && v->live_count == live && v->lsn == b->c->applied_lsn;
    view_release(v);
    return same;
}

static inline void assert_bed_is(struct bed *b, const struct model *m)
{
    struct error err = {0};
    if (!bed_is(b, m, &err)) fail_msg("the state is another one (%s)", err.text);
    assert_int_equal(b->c->applied_lsn, m->lsn);
    assert_int_equal(b->c->has_int_id, m->has_int_id);
    if (m->has_int_id) assert_int_equal(b->c->max_int_id, m->max_int_id);
    assert_ok(collection_check(b->c, &err), &err);
}

#endif
