/* SPDX-License-Identifier: Apache-2.0 */
/* segment_index.c — a file becomes an index that can be searched, step by step.
 *
 * WHAT        The sections that a kind wants in memory are copied out of the mapped file, verified,
 *             into memory of our own: of huge pages, which walks through a graph gain by, and which
 *             nothing changes any more, so that what a kind checked when it was opened stays true.
 *             Then the vectors are verified (whole_rows.h), but where the kind leaves sections, and
 *             so the vectors, on the disk; then it is opened.
 * INVARIANTS  (1) Up to READY the loader alone touches what is loaded; READY is stored with release
 *                 and read with acquire, and from then on all of it is constant.
 *             (2) What a kind is given as memory lies at a multiple of 64 and is verified; what it
 *                 reads of the file is verified when it is read.
 *             (3) Damage is written once, by who moved its state from NONE, and read only after
 *                 NOTED was; what is loaded stays as it is.
 * THREADS     See segment_index.h.
 * FAILURE     What was loaded is freed, and the index refused for good; for want of memory or of
 *             descriptors, until somebody resumes it.
 */
#include "segment/segment_index.h"

#include "base/atomic.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "segment/whole_rows.h"
#include "store/part_file.h"

_Static_assert((int)INDEX_SECTION_PAGES == (int)SECTION_PAGES, "they are the same");

enum load_stage { LOAD_OPEN, LOAD_COPY, LOAD_VECTORS, LOAD_INDEX };
enum damage_state { DAMAGE_NONE, DAMAGE_NOTING, DAMAGE_NOTED, DAMAGE_TOLD };

struct segment_index {
    struct segment_index_desc desc;
    const struct index_vtab *kind;
    _Atomic(uint32_t) reference_count;
    _Atomic(enum segment_index_state) state;
    _Atomic(enum damage_state) damage_state;
    struct error damage; /* (3) */
    /* The loader's (1). */
    enum load_stage stage;
    size_t section;  /* being copied, */
    uint64_t offset; /* from here on */
    struct part_file *file;
    struct whole_rows rows;
    struct index_image image;
    struct index_section sections[INDEX_SECTIONS_MAX];
    void *memory[INDEX_SECTIONS_MAX];
    size_t memory_bytes;
    struct index *index;
};

static const struct segment_index *owner_of(const struct index_image *image)
{
    return (const struct segment_index *)(const void *)((const char *)image -
                                                        offsetof(struct segment_index, image));
}

/* ---- its life ---- */

int segment_index_create(const struct segment_index_desc *desc, struct segment_index **out,
                         struct error *err)
{
    struct segment_index *s =
        (struct segment_index *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *s);

    if (!s) return error_no_memory(err, sizeof *s);
    s->desc = *desc;
    s->kind = index_find(desc->plan.kind);
    CHECK(s->kind && index_is_built(s->kind, desc->plan.quantizer.kind));
    vfs_dir_acquire(desc->dir);
    segment_acquire(desc->segment);
    atomic_init(&s->reference_count, 1u);
    atomic_init(&s->state, SEGMENT_INDEX_UNREAD);
    atomic_init(&s->damage_state, DAMAGE_NONE);
    *out = s;
    return 0;
}

struct segment_index *segment_index_acquire(struct segment_index *s)
{
    /* Relaxed: whoever acquires holds a reference already, or a lock under which one is held. */
    atomic_add_relaxed(&s->reference_count, 1u);
    return s;
}

static void unload(struct segment_index *s)
{
    if (s->index) s->kind->close(s->index);
    s->index = NULL;
    for (size_t i = 0; i < INDEX_SECTIONS_MAX; i++) {
        mem_free(s->desc.alloc, s->memory[i]);
        s->memory[i] = NULL;
    }
    whole_rows_deinit(&s->rows);
    part_file_close(s->file);
    s->file = NULL;
    s->memory_bytes = 0;
    s->image.section_count = 0;
    s->section = 0;
    s->offset = 0;
    s->stage = LOAD_OPEN;
}

void segment_index_release(struct segment_index *s)
{
    /* The last release sees what all others did before theirs. */
    if (!s || atomic_sub_acq_rel(&s->reference_count, 1u) != 1) return;
    unload(s);
    segment_release(s->desc.segment);
    vfs_dir_close(s->desc.dir);
    mem_free(s->desc.alloc, s);
}

bool segment_index_is_last(const struct segment_index *s)
{
    return atomic_load_relaxed(&s->reference_count) == 1;
}

/* ---- what is asked of it ---- */

enum segment_index_state segment_index_state(const struct segment_index *s)
{
    return atomic_load_acquire(&s->state); /* (1) */
}

const struct index *segment_index_get(const struct segment_index *s)
{
    return segment_index_state(s) == SEGMENT_INDEX_READY ? s->index : NULL;
}

const struct vector_source *segment_index_vectors(const struct segment_index *s)
{
    return &s->rows.source;
}

const struct index_plan *segment_index_plan(const struct segment_index *s)
{
    return &s->desc.plan;
}

enum metric segment_index_metric(const struct segment_index *s)
{
    return s->desc.metric;
}

size_t segment_index_memory_bytes(const struct segment_index *s)
{
    const struct index *index = segment_index_get(s);

    return index ? s->memory_bytes + index->memory_bytes + whole_rows_bytes(&s->rows) : 0;
}

const struct uuid *segment_index_collection(const struct segment_index *s)
{
    return &s->desc.owner.collection;
}

void segment_index_note_damage(struct segment_index *s, const struct error *why)
{
    enum damage_state none = DAMAGE_NONE;

    if (!segment_index_is_damage(why->code) ||
        !atomic_cas_acq_rel(&s->damage_state, &none, DAMAGE_NOTING))
        return;
    s->damage = *why;
    if (segment_index_get(s)) error_wrap(&s->damage, "'%s'", part_file_name(s->file));
    atomic_store_release(&s->damage_state, DAMAGE_NOTED); /* (3) */
}

const struct error *segment_index_damage(const struct segment_index *s)
{
    return atomic_load_acquire(&s->damage_state) >= DAMAGE_NOTED ? &s->damage : NULL;
}

bool segment_index_want(struct segment_index *s)
{
    enum segment_index_state unread = SEGMENT_INDEX_UNREAD;
    enum damage_state noted = DAMAGE_NOTED;

    if (atomic_load_relaxed(&s->damage_state) == DAMAGE_NOTED)
        return atomic_cas_acq_rel(&s->damage_state, &noted, DAMAGE_TOLD);
    if (atomic_load_relaxed(&s->state) != SEGMENT_INDEX_UNREAD) return false;
    return atomic_cas_acq_rel(&s->state, &unread, SEGMENT_INDEX_WANTED);
}

void segment_index_unwant(struct segment_index *s)
{
    enum segment_index_state wanted = SEGMENT_INDEX_WANTED;
    enum damage_state told = DAMAGE_TOLD;

    (void)atomic_cas_acq_rel(&s->damage_state, &told, DAMAGE_NOTED);
    (void)atomic_cas_acq_rel(&s->state, &wanted, SEGMENT_INDEX_UNREAD);
}

void segment_index_resume(struct segment_index *s)
{
    enum segment_index_state postponed = SEGMENT_INDEX_POSTPONED;

    (void)atomic_cas_acq_rel(&s->state, &postponed, SEGMENT_INDEX_UNREAD);
}

/* ---- the file as an image ---- */

static const struct part_section *find_section(const struct segment_index *s,
                                               const struct index_section *section)
{
    return part_file_section(s->file, (enum section_kind)section->kind);
}

static int read_at(const struct index_image *image, const struct index_section *section,
                   uint64_t offset, size_t bytes, void *out, struct error *err)
{
    const struct segment_index *s = owner_of(image);
    const void *data;

    if (part_file_borrow(s->file, find_section(s, section), offset, bytes, &data, err) != 0)
        return -1;
    memcpy(out, data, bytes);
    return 0;
}

static int open_by_name(const struct index_image *image, const struct index_section *section,
                        struct vfs_file **out, uint64_t *out_offset, struct error *err)
{
    const struct segment_index *s = owner_of(image);

    *out_offset = find_section(s, section)->offset;
    return vfs_open(s->desc.dir, part_file_name(s->file), VFS_READ | VFS_DIRECT, out, err);
}

static bool stays_in_file(const struct segment_index *s, uint32_t section)
{
    return s->kind->file_sections >> (section - INDEX_SECTION_FIRST) & 1;
}

static int open_file(struct segment_index *s, struct error *err)
{
    const struct segment_index_desc *d = &s->desc;
    uint64_t number = index_part_number(&d->part);

    if (part_file_open(d->alloc, d->dir, &d->owner, &d->segment->uuid, &d->part, number,
                       d->row_count, &s->file, err) != 0) {
        s->file = NULL;
        return -1;
    }
    for (uint32_t kind = INDEX_SECTION_FIRST; kind <= INDEX_SECTION_LAST; kind++) {
        const struct part_section *p = part_file_section(s->file, (enum section_kind)kind);
        if (!p) continue;
        if (s->image.section_count == INDEX_SECTIONS_MAX)
            return error_set(err, LYNSE_CORRUPT, "'%s' has more than %d sections of an index",
                             part_file_name(s->file), INDEX_SECTIONS_MAX);
        s->sections[s->image.section_count++] = (struct index_section){
            .kind = kind,
            .element_bytes = p->element_bytes,
            .number = p->number,
            .bytes = p->bytes,
        };
    }
    s->image.sections = s->sections;
    s->image.read_at = read_at;
    s->image.open_file = open_by_name;
    s->stage = LOAD_COPY;
    return 0;
}

/* Some bytes of the section at hand (2). */
static int copy_step(struct segment_index *s, struct error *err)
{
    if (s->section == s->image.section_count) {
        whole_rows_init(&s->rows, s->desc.alloc, s->desc.segment, s->desc.row_count, s->kind,
                        s->desc.metric);
        s->stage = s->kind->file_sections ? LOAD_INDEX : LOAD_VECTORS;
        return 0;
    }
    struct index_section *section = &s->sections[s->section];
    if (stays_in_file(s, section->kind)) {
        s->section++;
        return 0;
    }
    if (!s->memory[s->section]) {
        size_t bytes = align_up((size_t)section->bytes + 1, ALIGN_VECTOR);
        void *memory = mem_alloc_aligned(s->desc.alloc, MEM_SEGMENT, bytes, ALIGN_VECTOR);
        if (!memory) return error_no_memory(err, bytes);
        s->memory[s->section] = memory;
        s->memory_bytes += bytes;
        s->offset = 0;
    }
    uint64_t left = section->bytes - s->offset;
    size_t bytes = left < BUILD_STEP_BYTES ? (size_t)left : BUILD_STEP_BYTES;
    if (read_at(&s->image, section, s->offset, bytes, (char *)s->memory[s->section] + s->offset,
                err) != 0)
        return -1;
    s->offset += bytes;
    if (s->offset < section->bytes) return 0;
    section->data = s->memory[s->section++];
    return 0;
}

static int open_index(struct segment_index *s, struct error *err)
{
    const struct index_open_desc desc = {
        .alloc = s->desc.alloc,
        .kernels = kernels_active(),
        .image = &s->image,
        .params = &s->desc.plan.params,
        .metric = s->desc.metric,
        .dim = s->desc.segment->vectors.dim,
        .row_count = s->desc.row_count,
    };

    if (s->kind->open(&desc, &s->index, err) != 0) {
        s->index = NULL;
        return error_wrap(err, "'%s'", part_file_name(s->file));
    }
    if (s->kind->file_sections) return 0;
    part_file_close(s->file); /* its map is not needed any more */
    s->file = NULL;
    return 0;
}

/* As segment_index_load_step, but for the state. */
static int load_step(struct segment_index *s, struct error *err)
{
    int rc;

    switch (s->stage) {
    case LOAD_OPEN:
        return open_file(s, err);
    case LOAD_COPY:
        return copy_step(s, err);
    case LOAD_VECTORS:
        rc = whole_rows_step(&s->rows, err);
        if (rc == 1) s->stage = LOAD_INDEX;
        return rc < 0 ? -1 : 0;
    case LOAD_INDEX:
        return open_index(s, err) == 0 ? 1 : -1;
    }
    UNREACHABLE();
}

int segment_index_load_step(struct segment_index *s, struct error *err)
{
    struct error failed = {0};
    int rc = load_step(s, &failed);

    if (rc == 0) return 0;
    if (rc < 0) unload(s);
    if (rc < 0 && err) *err = failed;
    enum segment_index_state state = rc > 0 ? SEGMENT_INDEX_READY : SEGMENT_INDEX_REFUSED;
    if (rc < 0 && (failed.code == LYNSE_NO_MEMORY || failed.code == LYNSE_BUSY))
        state = SEGMENT_INDEX_POSTPONED;
    atomic_store_release(&s->state, state);
    return rc;
}

int segment_index_load(struct segment_index *s, struct error *err)
{
    int rc = 0;

    while (rc == 0) rc = segment_index_load_step(s, err);
    return rc > 0 ? 0 : -1;
}

int segment_index_copy(const struct segment_index *s, struct segment_index **out, struct error *err)
{
    return segment_index_create(&s->desc, out, err);
}

int segment_index_check(const struct segment_index *s, const struct vector_source *vectors,
                        struct error *err)
{
    const struct index *index = segment_index_get(s);

    CHECK(index);
    return s->kind->check ? s->kind->check(index, vectors, err) : 0;
}
