/* SPDX-License-Identifier: Apache-2.0 */
/* A collection by itself: its directory is the root of the disk, and nobody else reads. */
#include "base/check.h"
#include "crashlab/batch.h"
#include "store/doc_file.h"
#include "support/close_collection.h"

struct alone {
    struct collection *c;
    struct view_slot slot;
    struct manual_clock clock;
    struct rng rng;
    struct doc_cache *cache;
    struct segment_build_desc desc;
    struct segment_build_desc merge_desc;
    struct segment_build build, merge_build;
    bool is_built, is_merge_built;
    struct batch *batch; /* being written */
    bool is_opening;
    bool has_failed;
};

static const struct file_owner owner = {{{1}}, {{2}}};

static struct alone *state_of(struct target *t)
{
    if (!t->state) {
        struct alone *s = mem_zalloc(t->alloc, MEM_GENERAL, sizeof *s);
        CHECK(s);
        view_slot_init(&s->slot);
        manual_clock_init(&s->clock, 1000000);
        t->state = s;
    }
    return t->state;
}

static struct lab_oracle *oracle_of(struct target *t)
{
    return &t->world->slots[0].oracle;
}

static void on_written(void *ctx, struct collection_write *w)
{
    struct target *t = ctx;
    struct alone *s = t->state;

    if (!s->batch) return; /* a retry */
    if (batch_answered(s->batch, t, oracle_of(t), w) != 0) s->has_failed = true;
    t->ops->look(t);
}

static int make_desc(struct target *t, struct collection_desc *out, struct error *err)
{
    struct alone *s = state_of(t);

    rng_init(&s->rng, hash_u64(t->seed) ^ ++t->open_count);
    *out = (struct collection_desc){
        .alloc = t->alloc,
        .owner = owner,
        .number = 1,
        .clock = &s->clock.base,
        .rng = &s->rng,
        .slot = &s->slot,
        .may_sync = true,
        .on_written = on_written,
        .on_written_ctx = t,
    };
    return vfs_dir_open(t->fs, DISK_PATH, 0, &out->take_dir, err);
}

static void begin(struct target *t)
{
    struct collection_desc desc;
    struct collection_options options = {.metric = 2, .sync_level = SYNC_ALWAYS};
    struct error err = {0};

    CHECK(make_desc(t, &desc, &err) == 0);
    CHECK(collection_create(&desc, &options, &err) == 0);
    vfs_dir_close(desc.take_dir);
    t->world->slots[0].life = SLOT_LIVE;
    oracle_init(oracle_of(t), t->alloc, SYNC_ALWAYS);
}

static int open_target(struct target *t, struct error *err)
{
    struct alone *s = state_of(t);
    struct collection_desc desc;

    if (!s->cache && doc_cache_create(t->alloc, 1 << 20, &s->cache, err) != 0) return -1;
    if (make_desc(t, &desc, err) != 0) return -1;
    desc.cache = s->cache;
    s->is_opening = true;
    int rc = collection_open(&desc, &s->c, err);
    s->is_opening = false;
    if (rc == 0) oracle_of(t)->level = s->c->manifest.sync_level;
    return rc;
}

static void look(struct target *t)
{
    struct alone *s = t->state;
    struct lab_oracle *o = oracle_of(t);
    const struct view *v = s ? s->slot.current : NULL;

    if (s && s->is_opening && v && v->lsn <= o->lsn) {
        /* Recovery has shown where it ends: what was above is gone for good. */
        oracle_take_back(o, (size_t)v->lsn);
        o->promise.kill = o->promise.power = (uint16_t)v->lsn;
    } else if (s && s->c) {
        if (s->batch) batch_look(s->batch, o);
        promise_look(o, s->c, v);
    }
}

/* ---- words ---- */

/* An error of the engine: wrong, unless the disk fails on purpose. */
static int result(struct target *t, const char *word, int rc, const struct error *err)
{
    struct alone *s = t->state;

    if (s->has_failed) return -1;
    if (rc == 0) return 0;
    if (t->expects_faults) {
        t->fault_code = err->code;
        return 0;
    }
    return target_fail(t, "'%s' answered %s: %s", word, error_name(err->code), err->text);
}

static int write_word(struct target *t, const char *word)
{
    struct alone *s = t->state;
    struct batch b;
    struct collection_write *writes[WORD_GROUPS];
    struct error err = {0};

    if (batch_make(&b, oracle_of(t), word) != 0) return 0;
    for (size_t i = 0; i < b.count; i++) {
        writes[i] = &b.writes[i];
        CHECK(collection_write_check(t->alloc, writes[i], &err) == 0);
    }
    t->fault_code = 0;
    s->batch = &b;
    collection_write_batch(s->c, writes, b.count);
    s->batch = NULL;
    int rc = s->has_failed ? -1 : batch_finish(&b, t);
    batch_deinit(&b);
    return rc;
}

static void promise_all(struct lab_oracle *o, uint64_t lsn)
{
    if (lsn > o->promise.power) o->promise.power = (uint16_t)lsn;
    if (lsn > o->promise.kill) o->promise.kill = (uint16_t)lsn;
}

static int seal_begin(struct target *t, struct error *err)
{
    struct alone *s = t->state;

    if (s->c->seal.is_active) return 0;
    if (collection_freeze(s->c, err) != 0) return -1;
    return collection_seal_begin(s->c, true, &s->desc, err);
}

static int seal_build(struct target *t, struct error *err)
{
    struct alone *s = t->state;

    if (!s->c->seal.is_active || s->is_built) return 0;
    if (s->desc.part_count > 0 && segment_build_run(&s->desc, &s->build, err) != 0) {
        collection_seal_cancel(s->c);
        return -1;
    }
    s->is_built = true;
    return 0;
}

static void seal_forget(struct alone *s)
{
    if (s->is_built && s->desc.part_count > 0) segment_build_deinit(&s->build);
    memset(&s->build, 0, sizeof s->build);
    s->is_built = false;
}

/* What a finished seal promises: all up to F is in a manifest. */
static int seal_finish(struct target *t, bool retire_log, struct error *err)
{
    struct alone *s = t->state;

    if (seal_begin(t, err) != 0 || seal_build(t, err) != 0) return -1;
    int rc =
        collection_seal_finish(s->c, s->desc.part_count > 0 ? &s->build : NULL, retire_log, err);
    seal_forget(s);
    if (rc == 0) {
        promise_all(oracle_of(t), s->c->manifest.flushed_lsn);
        if (s->c->manifest.flushed_lsn > oracle_of(t)->promise.vouched)
            oracle_of(t)->promise.vouched = (uint16_t)s->c->manifest.flushed_lsn;
    }
    return rc;
}

static void seal_cancel(struct alone *s)
{
    if (!s->c->seal.is_active) return;
    if (s->is_built && s->desc.part_count > 0) segment_build_remove_files(&s->build, s->c->dir);
    collection_seal_cancel(s->c);
    seal_forget(s);
}

static int merge_begin(struct target *t, struct error *err)
{
    struct alone *s = t->state;

    if (!collection_wants_merge(s->c)) return 0;
    return collection_merge_begin(s->c, &s->merge_desc, err);
}

static void merge_forget(struct alone *s)
{
    segment_build_deinit(&s->merge_build);
    s->merge_build = (struct segment_build){0};
    s->is_merge_built = false;
}

static void merge_cancel(struct alone *s)
{
    if (s->is_merge_built) segment_build_remove_files(&s->merge_build, s->c->dir);
    collection_merge_cancel(s->c);
    merge_forget(s);
}

/* The segment and, where its inputs have one, its index. */
static int merge_build(struct target *t, struct error *err)
{
    struct alone *s = t->state;
    struct collection *c = s->c;

    if (!c->merge.is_active || s->is_merge_built) return 0;
    if (segment_build_run(&s->merge_desc, &s->merge_build, err) != 0) {
        collection_merge_cancel(c);
        return -1;
    }
    s->is_merge_built = true;
    int rc = collection_merge_index_begin(c, &s->merge_build, err);
    if (rc > 0) {
        while (index_builder_work(c->merge.index_build, true) == INDEX_WORKED) continue;
        rc = collection_merge_index_end(c, &s->merge_build, err);
    }
    if (rc != 0) merge_cancel(s);
    return rc;
}

/* Promises nothing: what was there before is there after. */
static int merge_finish(struct target *t, struct error *err)
{
    struct alone *s = t->state;

    if (!s->c->merge.is_active && merge_begin(t, err) != 0) return -1;
    if (!s->c->merge.is_active) return 0;
    if (merge_build(t, err) != 0) return -1;
    int rc = collection_merge_finish(s->c, &s->merge_build, err);
    merge_forget(s);
    return rc != 0 && err->code == LYNSE_BUSY ? 0 : rc; /* beside a seal in `none` */
}

static int checkpoint(struct target *t, struct error *err)
{
    struct alone *s = t->state;

    /* A seal under way comes first; the checkpoint then takes the rest. */
    if (s->c->seal.is_active && seal_finish(t, false, err) != 0) return -1;
    return collection_flush(s->c, true, err);
}

static int close_and_open(struct target *t, struct error *err)
{
    struct alone *s = t->state;
    struct lab_oracle *o = oracle_of(t);

    if (s->c->seal.is_active && seal_finish(t, false, err) != 0) return -1;
    merge_cancel(s);
    struct collection *c = s->c;
    int rc = close_collection(c, err);
    s->c = NULL;
    if (rc == 0) {
        promise_all(o, o->lsn);
        o->promise.vouched = (uint16_t)o->lsn;
    }
    view_slot_publish(&s->slot, NULL);
    struct error again = {0};
    if (open_target(t, rc == 0 ? err : &again) != 0) {
        if (rc == 0) return -1;
        *err = again;
        return -1;
    }
    /* A close that failed is a kill: whatever was not promised may be gone. */
    if (rc != 0 && collection_judge(t, o, s->c, true, false) != 0) s->has_failed = true;
    return rc;
}

static int set_level(struct target *t, uint8_t level, struct error *err)
{
    struct alone *s = t->state;
    struct lab_oracle *o = oracle_of(t);
    bool was_none = s->c->manifest.sync_level == SYNC_NONE;

    if (s->c->seal.is_active && seal_finish(t, false, err) != 0) return -1;
    merge_cancel(s);
    if (collection_set_sync(s->c, level, 10, err) != 0) return -1;
    o->level = level;
    if (was_none && level != SYNC_NONE) promise_all(o, o->lsn);
    return 0;
}

static int sync_word(struct target *t, struct error *err)
{
    struct alone *s = t->state;
    uint64_t durable = 0;

    if (collection_sync(s->c, &durable, err) != 0) return -1;
    promise_all(oracle_of(t), durable);
    return s->c->manifest.sync_level == SYNC_NONE || durable == s->c->applied_lsn
               ? 0
               : target_fail(t, "sync reached LSN %llu of %llu", (unsigned long long)durable,
                             (unsigned long long)s->c->applied_lsn);
}

static int mark_word(struct target *t, struct error *err)
{
    struct alone *s = t->state;
    struct lab_oracle *o = oracle_of(t);

    if (collection_mark(s->c, err) != 0) return -1;
    if (s->c->manifest.sync_level != SYNC_NONE && wal_is_vouched(s->c->wal) &&
        o->promise.power > o->promise.vouched)
        o->promise.vouched = o->promise.power;
    return 0;
}

static int hook_word(struct target *t, bool is_drop, struct error *err)
{
    struct alone *s = t->state;
    struct installed_hook *h = hook_ask(oracle_of(t), t->alloc, is_drop);

    if (!h) return 0;
    int rc = collection_set_hook(s->c, h, err);
    hook_answered(oracle_of(t), rc, err);
    installed_hook_release(h);
    return rc;
}

static int graph_word(struct collection *c, struct error *err)
{
    struct index_plan plan = {.kind = INDEX_HNSW};

    index_params_init(index_find(plan.kind), &plan.params);
    return collection_set_index(c, &plan, 2, NULL, err);
}

/* An index that crashes have left is one that can be loaded, or none. */
static int indexed_word(struct collection *c, struct error *err)
{
    while (collection_wants_index(c)) {
        if (collection_index_begin(c, err) != 0) return -1;
        while (index_builder_work(c->index_build, true) == INDEX_WORKED) continue;
        if (collection_index_finish(c, err) != 0) return -1;
    }
    for (size_t i = 0; i < c->part_count; i++) {
        struct segment_index *index = c->parts[i].index;
        if (index && segment_index_state(index) <= SEGMENT_INDEX_WANTED &&
            segment_index_load(index, err) != 0)
            return -1;
    }
    return 0;
}

static int perform(struct target *t, const char *word)
{
    struct alone *s = t->state;
    struct error err = {0};
    int rc;

    if (!s->c) return 0; /* the disk failed while it was being opened again */
    if (*word == 'w' || *word == 'W' || *word == 'q') rc = write_word(t, word);
    else if (strcmp(word, "again") == 0)
        rc = t->expects_faults ? 0 : batch_retry(t, oracle_of(t), s->c, false);
    else if (strcmp(word, "freeze") == 0) rc = seal_begin(t, &err);
    else if (strcmp(word, "build") == 0) rc = seal_build(t, &err);
    else if (strcmp(word, "seal") == 0 || strcmp(word, "seal0") == 0)
        rc = seal_finish(t, false, &err);
    else if (strcmp(word, "merge0") == 0) rc = merge_begin(t, &err);
    else if (strcmp(word, "merge1") == 0) rc = merge_build(t, &err);
    else if (strcmp(word, "merge") == 0) rc = merge_finish(t, &err);
    else if (strcmp(word, "cancel") == 0) rc = (seal_cancel(s), 0);
    else if (strcmp(word, "ckpt") == 0) rc = checkpoint(t, &err);
    else if (strcmp(word, "sync") == 0 || strcmp(word, "sync1") == 0) rc = sync_word(t, &err);
    else if (strcmp(word, "mark") == 0) rc = mark_word(t, &err);
    else if (strcmp(word, "close") == 0) rc = close_and_open(t, &err);
    else if (strncmp(word, "mode:", 5) == 0) rc = set_level(t, word_level(word), &err);
    else if (strcmp(word, "index") == 0)
        rc = collection_set_index(s->c, &(struct index_plan){.kind = INDEX_FLAT}, 2, NULL, &err);
    else if (strcmp(word, "graph") == 0) rc = graph_word(s->c, &err);
    else if (strcmp(word, "indexed") == 0) rc = indexed_word(s->c, &err);
    else if (strcmp(word, "describe") == 0) rc = collection_set_description(s->c, "words", &err);
    else if (strcmp(word, "hook") == 0) rc = hook_word(t, false, &err);
    else if (strcmp(word, "unhook") == 0) rc = hook_word(t, true, &err);
    else rc = 0;
    if (rc != 0 && err.code == 0) return -1;
    rc = result(t, word, rc, &err);
    if (s->c) look(t);
    return rc;
}

/* ---- judging ---- */

static int judge(struct target *t, bool is_fresh)
{
    struct alone *s = t->state;

    if (!s->c) return 0;
    return collection_judge(t, oracle_of(t), s->c, is_fresh, false);
}

static void abandon(struct target *t)
{
    struct alone *s = t->state;

    if (!s) return;
    if (s->c) {
        collection_seal_cancel(s->c);
        collection_merge_cancel(s->c);
        collection_abandon(s->c);
    }
    seal_forget(s);
    merge_forget(s);
    view_slot_deinit(&s->slot);
    doc_cache_destroy(s->cache);
    mem_free(t->alloc, s);
    t->state = NULL;
}

static int touch(struct target *t)
{
    struct alone *s = t->state;
    bool must_close = s->c->manifest.sync_level == SYNC_NONE || (t->seed & 1);
    struct error err = {0};

    if (batch_retry(t, oracle_of(t), s->c, true) != 0) return -1;
    if (perform(t, "w:z77") != 0 || perform(t, "w:-z|+z") != 0) return -1;
    if (!must_close) {
        abandon(t);
        return 0;
    }
    int rc = close_collection(s->c, &err);
    s->c = NULL;
    abandon(t);
    return rc == 0 ? 0 : target_fail(t, "close: %s", err.text);
}

const struct target_ops collection_target = {
    .name = "collection",
    .slot_count = 1,
    .begin = begin,
    .open = open_target,
    .perform = perform,
    .look = look,
    .judge = judge,
    .touch = touch,
    .abandon = abandon,
};
