/* SPDX-License-Identifier: Apache-2.0 */
/* handles.c — the small change of every call: descs in, errors and results out.
 *
 * WHAT        Copies of descs by their struct_bytes, deadlines, names, ids; results and lists in
 *             the types of lynse.h.
 * INVARIANTS  (1) A result keeps the allocator of its root alive, so that it may outlive the root.
 *             (2) What a caller passes is read once, before anything acts on it.
 * THREADS     Any; no state but the count of api_memory, under its mutex.
 * FAILURE     INVALID, LIMIT, UNSUPPORTED for arguments, NO_MEMORY; outputs are not written.
 */
#include "api/handles.h"

#include "base/limits.h"
#include "index/index.h"
#include "os/path.h"

enum {
    TIMEOUT_DEFAULT_US = 30 * 1000 * 1000,
    TIMEOUT_MAX_US = 600 * 1000 * 1000,
    DESC_BYTES_MAX = 1024, /* a size beyond is garbage and must not be read */
};

struct api_memory *api_memory_acquire(struct api_memory *m)
{
    mutex_lock(&m->mutex);
    m->reference_count++;
    mutex_unlock(&m->mutex);
    return m;
}

void api_memory_release(struct api_memory *m)
{
    mutex_lock(&m->mutex);
    bool is_last = --m->reference_count == 0;
    mutex_unlock(&m->mutex);
    if (!is_last) return;
    struct alloc *alloc = m->alloc;
    mutex_deinit(&m->mutex);
    mem_free(alloc, m);
    alloc_destroy(alloc);
}

int api_fail(const struct error *from, struct lynse_error *to)
{
    int code = from->code ? from->code : LYNSE_INTERNAL;

    if (!to) return code;
    memset(to, 0, sizeof *to);
    to->code = code;
    to->os_errno = from->os_errno;
    to->retry_after_ms = from->retry_after_ms;
    memcpy(to->text, from->text, strnlen(from->text, sizeof from->text - 1));
    return code;
}

int api_missing(const char *argument, struct lynse_error *err)
{
    struct error failed = {0};

    error_set(&failed, LYNSE_INVALID, "%s: missing", argument);
    return api_fail(&failed, err);
}

/* ---- descs ---- */

int api_desc_bytes(const char *what, uint32_t bytes, size_t v1_bytes, size_t *out,
                   struct error *err)
{
    *out = bytes ? bytes : v1_bytes;
    if (*out >= v1_bytes && *out <= DESC_BYTES_MAX) return 0;
    return error_set(err, LYNSE_INVALID, "%s: struct_bytes is %u, allowed are %zu to %d", what,
                     bytes, v1_bytes, DESC_BYTES_MAX);
}

int api_copy_desc(const char *what, void *out, size_t size, const void *desc, uint32_t bytes,
                  size_t v1_bytes, struct error *err)
{
    size_t given;

    memset(out, 0, size);
    if (!desc) return error_set(err, LYNSE_INVALID, "%s: missing", what);
    if (api_desc_bytes(what, bytes, v1_bytes, &given, err) != 0) return -1;
    if (given > size && !bytes_are_zero((const uint8_t *)desc + size, given - size))
        return error_set(err, LYNSE_UNSUPPORTED,
                         "%s: has members that this version of the library does not know", what);
    memcpy(out, desc, given < size ? given : size);
    return 0;
}

int api_deadline(const struct engine *e, uint64_t timeout_us, uint64_t *out, struct error *err)
{
    if (timeout_us > TIMEOUT_MAX_US)
        return error_set(err, LYNSE_LIMIT, "timeout_us: %llu, at most %d",
                         (unsigned long long)timeout_us, TIMEOUT_MAX_US);
    *out = clock_now_us(e->clock) + (timeout_us ? timeout_us : TIMEOUT_DEFAULT_US);
    return 0;
}

int api_name(const char *text, char database[NAME_ROOM], char name[NAME_ROOM], struct error *err)
{
    struct slice db, coll;

    if (!text) return error_set(err, LYNSE_INVALID, "name: missing");
    if (name_split(text, &db, &coll, err) != 0) return -1;
    memcpy(database, db.data, db.size);
    database[db.size] = 0;
    memcpy(name, coll.data, coll.size);
    name[coll.size] = 0;
    return 0;
}

int api_check_id(const struct lynse_id *id, struct error *err)
{
    if (id->reserved == 0) return 0;
    return error_set(err, LYNSE_INVALID, "reserved: %u, must be 0", id->reserved);
}

int api_id(const struct lynse_id *from, struct record_id *to, struct error *err)
{
    if (api_check_id(from, err) != 0) return -1;
    *to = from->text ? id_of_text(slice_of(from->text, from->text_bytes))
                     : id_of_number(from->number);
    return id_check(to, err);
}

int api_ids(struct alloc *a, const struct lynse_id *from, size_t count, struct record_id **out,
            struct error *err)
{
    if (count > 0 && !from) return error_set(err, LYNSE_INVALID, "ids: missing");
    if (count > LIMIT_BATCH_ROWS)
        return error_set(err, LYNSE_LIMIT, "ids: %zu, at most %d a call", count, LIMIT_BATCH_ROWS);
    struct record_id *ids = mem_alloc(a, MEM_MESSAGE, (count + 1) * sizeof *ids);
    if (!ids) return error_no_memory(err, count * sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        if (api_id(&from[i], &ids[i], err) == 0) continue;
        mem_free(a, ids);
        return error_wrap(err, "id at %zu", i);
    }
    *out = ids;
    return 0;
}

unsigned api_columns(uint32_t flags)
{
    return (flags & LYNSE_WITH_FIELDS ? RESULT_DOCUMENTS : 0u) |
           (flags & LYNSE_WITH_VECTORS ? RESULT_VECTORS : 0u);
}

/* ---- results ---- */

struct hits {
    struct lynse_hits base; /* first: what the caller sees */
    struct api_memory *memory;
    struct result result;
};

/* The columns in the caller's types, in the result's arena. */
static int fill_hits(struct hits *h)
{
    struct result *r = &h->result;
    struct lynse_id *ids = arena_alloc(&r->arena, (r->count + 1) * sizeof *ids);
    uint64_t *numbers = arena_alloc(&r->arena, (r->count + 1) * sizeof *numbers);
    struct lynse_bytes *fields =
        r->documents ? arena_alloc(&r->arena, (r->count + 1) * sizeof *fields) : NULL;
    bool has_text = false;

    if (!ids || !numbers || (r->documents && !fields)) return -1;
    for (size_t i = 0; i < r->count; i++) {
        const struct record_id *id = &r->ids[i];
        ids[i] = (struct lynse_id){id->number, id->is_text ? (const char *)id->text.data : NULL,
                                   (uint32_t)id->text.size, 0};
        numbers[i] = id->number;
        has_text |= id->is_text;
        if (fields) fields[i] = (struct lynse_bytes){r->documents[i].data, r->documents[i].size};
    }
    const struct index_vtab *kind = index_find(r->index_kind);
    h->base = (struct lynse_hits){
        .count = r->count,
        .query_count = r->query_count,
        .query_ends = r->query_ends,
        .ids = ids,
        .numbers = has_text ? NULL : numbers,
        .scores = r->scores,
        .fields = fields,
        .vectors = r->vectors,
        .dim = r->dim,
        .metric = r->metric,
        .index_kind = kind ? kind->name : index_flat.name,
        .as_of_lsn = r->as_of_lsn,
    };
    return 0;
}

int api_hits(struct lynse *db, struct result *take_result, struct lynse_hits **out,
             struct error *err)
{
    struct hits *h = mem_zalloc(db->memory->alloc, MEM_SEARCH, sizeof *h);

    if (!h) {
        result_deinit(take_result);
        return error_no_memory(err, sizeof *h);
    }
    h->result = *take_result;
    if (fill_hits(h) != 0) {
        size_t bytes = h->result.count * sizeof(struct lynse_id);
        result_deinit(&h->result);
        mem_free(db->memory->alloc, h);
        return error_no_memory(err, bytes);
    }
    h->memory = api_memory_acquire(db->memory);
    *out = &h->base;
    return 0;
}

void lynse_hits_free(struct lynse_hits *hits)
{
    struct hits *h = (struct hits *)hits;

    if (!h) return;
    struct api_memory *memory = h->memory;
    result_deinit(&h->result);
    mem_free(memory->alloc, h);
    api_memory_release(memory);
}

/* ---- names ---- */

struct names {
    struct lynse_names base; /* first */
    struct api_memory *memory;
    struct arena arena;
};

int api_names(struct lynse *db, const struct slice *names, size_t count, struct lynse_names **out,
              struct error *err)
{
    struct names *n = mem_zalloc(db->memory->alloc, MEM_GENERAL, sizeof *n);

    if (!n) return error_no_memory(err, sizeof *n);
    arena_init(&n->arena, db->memory->alloc, MEM_GENERAL);
    const char **list = arena_zalloc(&n->arena, (count + 1) * sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        list[i] = arena_copy_text(&n->arena, (const char *)names[i].data, names[i].size);
        if (!list[i]) list = NULL;
    }
    if (!list) {
        arena_deinit(&n->arena);
        mem_free(db->memory->alloc, n);
        return error_no_memory(err, count * sizeof *list);
    }
    n->base = (struct lynse_names){count, list};
    n->memory = api_memory_acquire(db->memory);
    *out = &n->base;
    return 0;
}

void lynse_names_free(struct lynse_names *names)
{
    struct names *n = (struct names *)names;

    if (!n) return;
    struct api_memory *memory = n->memory;
    arena_deinit(&n->arena);
    mem_free(memory->alloc, n);
    api_memory_release(memory);
}
