/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c — the one file that says which files are the collection.
 *
 * WHAT        A short list of segments and where the log begins, replaced as a whole.
 * LAYOUT      FORMAT.md 5, inside a twin file (FORMAT.md 4).
 * INVARIANTS  (1) The highest epoch rules, or the collection is damaged: there is no falling back
 *                 to an older one, because no crash needs it (R6).
 *             (2) What is published can be loaded: encoder and decoder hold the same rules (check).
 *             (3) Segments stand in LSN order and share no LSN: a tail is frozen between groups.
 *             (4) last_lsn of a segment <= its map_lsn, flushed_lsn; nothing named here is above
 *                 durable_lsn.
 * THREADS     Stateless; a struct manifest has one owner.
 * FAILURE     As with twin files; the caller stops writing where it is unknown which epoch rules.
 */
#include "store/manifest.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/limits.h"
#include "base/planted.h"
#include "codec/tagged.h"
#include "codec/vector_types.h"
#include "store/manifest_index.h"

static const char WHAT[] = "manifest";

static const struct {
    int promise;
    bool is_for_writes;
} LEVELS[SYNC_LEVEL_MAX + 1] = {
#define SYNC_LEVEL_LINE(name, number, promise, of_writes) [number] = {promise, of_writes},
    LYNSE_SYNC_LEVELS(SYNC_LEVEL_LINE)
#undef SYNC_LEVEL_LINE
};

bool sync_level_is_weaker(unsigned level, unsigned than)
{
    CHECK(sync_level_is_known(level) && sync_level_is_known(than));
    return LEVELS[level].promise < LEVELS[than].promise;
}

bool sync_level_is_for_writes(unsigned level)
{
    return sync_level_is_known(level) && LEVELS[level].is_for_writes;
}

void manifest_init(struct manifest *m, struct alloc *a)
{
    *m = (struct manifest){.alloc = a};
}

void manifest_deinit(struct manifest *m)
{
    if (!m->alloc) return;
    mem_free(m->alloc, m->description);
    mem_free(m->alloc, m->fields);
    mem_free(m->alloc, m->segments);
    installed_hooks_release(&m->hooks);
    applied_requests_free(m->alloc, &m->requests);
    manifest_init(m, m->alloc);
}

int manifest_copy(struct manifest *to, const struct manifest *from, struct error *err)
{
    struct alloc *a = to->alloc;
    struct manifest m = *from;
    size_t fields_bytes = from->field_count * sizeof *from->fields;
    size_t segments_bytes = from->segment_count * sizeof *from->segments;
    size_t text_bytes = from->description ? strlen(from->description) : 0;

    m.alloc = a;
    m.requests = (struct applied_requests){0};
    installed_hooks_acquire(&m.hooks);
    m.description =
        from->description ? mem_copy_text(a, MEM_GENERAL, from->description, text_bytes) : NULL;
    m.fields = from->field_count ? mem_alloc(a, MEM_GENERAL, fields_bytes) : NULL;
    m.segments = from->segment_count ? mem_alloc(a, MEM_GENERAL, segments_bytes) : NULL;
    if ((from->description && !m.description) || (from->field_count && !m.fields) ||
        (from->segment_count && !m.segments)) {
        manifest_deinit(&m);
        return error_no_memory(err, text_bytes + fields_bytes + segments_bytes);
    }
    if (m.fields) memcpy(m.fields, from->fields, fields_bytes);
    if (m.segments) memcpy(m.segments, from->segments, segments_bytes);
    manifest_deinit(to);
    *to = m;
    return 0;
}

uint64_t manifest_replay_from(const struct manifest *m)
{
    uint64_t low = m->flushed_lsn;
    for (uint32_t i = 0; i < m->segment_count; i++)
        if (m->segments[i].map_lsn < low) low = m->segments[i].map_lsn;
    return low;
}

/* ---- names of parts ---- */

void part_name(char out[PART_NAME_BYTES], const struct uuid *segment, enum part_kind kind,
               uint64_t number)
{
    char uuid[UUID_TEXT_BYTES];
    unsigned long long n = number;
    int bytes = 0;

    uuid_format(segment, uuid);
    switch (kind) {
    case PART_IDS:
        bytes = snprintf(out, PART_NAME_BYTES, "seg-%s.ids", uuid);
        break;
    case PART_VECTORS:
        bytes = snprintf(out, PART_NAME_BYTES, "seg-%s.vec-%llu", uuid, n);
        break;
    case PART_DOCUMENTS:
        bytes = snprintf(out, PART_NAME_BYTES, "seg-%s.doc", uuid);
        break;
    case PART_DELETES:
        bytes = snprintf(out, PART_NAME_BYTES, "seg-%s.del-%llu", uuid, n);
        break;
    case PART_INDEX:
        bytes = snprintf(out, PART_NAME_BYTES, "seg-%s.idx-%llu-%llu-%llu", uuid, n >> 8 & 0xffff,
                         n & 0xff, n >> 24);
        break;
    default:
        UNREACHABLE();
    }
    CHECK(bytes > 0 && bytes < PART_NAME_BYTES);
}

uint64_t manifest_part_number(const struct manifest_segment *s, const struct manifest_part *p)
{
    if (p->kind == PART_VECTORS) return p->field;
    if (p->kind == PART_INDEX) return index_part_number(p);
    return p->kind == PART_DELETES ? s->del_lsn : 0;
}

/* ---- the rules that encoder and decoder share: (2) ---- */

/* Returns what is wrong, or NULL. */
static const char *check_field(const struct manifest *m, uint32_t index)
{
    const struct manifest_field *f = &m->fields[index];

    if (!vector_kind_is_known(f->kind)) return "has an unknown kind";
    if (!storage_type_is_known(f->storage)) return "has an unknown storage type";
    if (f->dim > LIMIT_DIM) return "has more dimensions than the limit";
    if (f->name[0] == '\0') return "has no name";
    if (!manifest_index_is_valid(f)) return "has an impossible plan of its index";
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(m->fields[i].name, f->name) == 0) return "has the name of another one";
    return NULL;
}

static const char *check_parts(const struct manifest *m, const struct manifest_segment *s)
{
    uint32_t ids = 0, deletes = 0;

    if (s->part_count > SEGMENT_PARTS_MAX) return "has too many files";
    for (uint32_t i = 0; i < s->part_count; i++) {
        const struct manifest_part *p = &s->parts[i];
        if (p->kind < PART_IDS || p->kind > PART_INDEX) return "has a file of an unknown kind";
        bool has_field = p->kind == PART_VECTORS || p->kind == PART_INDEX;
        if ((p->kind == PART_INDEX) != (p->index_kind >= MANIFEST_INDEX_FLAT))
            return "has an index of no kind";
        if (p->field != 0 && (!has_field || p->field >= m->field_count))
            return "has a file of a field that does not exist";
        for (uint32_t j = 0; j < i; j++)
            if (s->parts[j].kind == p->kind && s->parts[j].field == p->field)
                return "has two files of one kind";
        ids += p->kind == PART_IDS;
        deletes += p->kind == PART_DELETES;
    }
    if (ids != 1) return "has no ids";
    if (deletes != (s->del_lsn != 0)) return "disagrees with itself on its delete map";
    return NULL;
}

static const char *check_segment(const struct manifest *m, uint32_t index)
{
    const struct manifest_segment *s = &m->segments[index];

    if (s->row_count == 0 || s->row_count > UINT32_MAX) return "has an impossible number of rows";
    if (s->first_lsn == 0 || s->first_lsn > s->last_lsn) return "has an impossible range of LSNs";
    if (s->last_lsn > m->flushed_lsn) return "reaches beyond what is flushed"; /* (4) */
    if (s->map_lsn < s->last_lsn || s->map_lsn > m->durable_lsn || s->del_lsn > s->map_lsn)
        return "has an impossible delete map";                                     /* (4) */
    if (index > 0 && s->first_lsn <= s[-1].last_lsn) return "is not in LSN order"; /* (3) */
    for (uint32_t i = 0; i < index; i++)
        if (uuid_equal(&m->segments[i].uuid, &s->uuid)) return "stands there twice";
    return check_parts(m, s);
}

static int check(const struct manifest *m, int code, struct error *err)
{
    const char *wrong = NULL;

    if (m->number == 0 || m->number > INT32_MAX) /* L4: it is the upper half of a lock's place */
        return error_set(err, code, "manifest: the collection has an impossible number");
    if (m->durable_lsn > LSN_MAX || m->wal_first > LSN_MAX)
        return error_set(err, code, "manifest: LSN %llu or log %llu is impossible",
                         (unsigned long long)m->durable_lsn, (unsigned long long)m->wal_first);
    if (m->durable_lsn < m->flushed_lsn)
        return error_set(err, code, "manifest: flushed_lsn %llu is above durable_lsn %llu",
                         (unsigned long long)m->flushed_lsn, (unsigned long long)m->durable_lsn);
    if (!sync_level_is_known(m->sync_level))
        return error_set(err, code, "manifest: sync level %u is unknown", m->sync_level);
    if (!m->has_int_id && m->max_int_id != 0)
        return error_set(err, code, "manifest: there is a largest id, and none was ever used");
    if (m->field_count == 0 || m->field_count > MANIFEST_FIELDS_MAX)
        return error_set(err, code, "manifest: %u vector fields", m->field_count);
    if (m->segment_count > LIMIT_SEGMENTS)
        return error_set(err, code, "manifest: %u segments; the limit is %d", m->segment_count,
                         LIMIT_SEGMENTS);
    for (uint32_t i = 0; i < m->field_count; i++)
        if ((wrong = check_field(m, i)) != NULL)
            return error_set(err, code, "manifest: vector field %u %s", i, wrong);
    for (uint32_t i = 0; i < m->segment_count; i++)
        if ((wrong = check_segment(m, i)) != NULL)
            return error_set(err, code, "manifest: segment %u %s", i, wrong);
    for (size_t i = 0; i < m->hooks.count; i++)
        if ((wrong = installed_hooks_check(&m->hooks, i)) != NULL)
            return error_set(err, code, "manifest: hook %zu %s", i, wrong);
    if ((wrong = applied_requests_check(&m->requests, m->flushed_lsn)) != NULL)
        return error_set(err, code, "manifest: requests %s", wrong);
    return 0;
}

/* ---- encoding ---- */

static void encode_state(const struct manifest *m, struct buf *out)
{
    size_t begin = tagged_begin(out, TAG_STATE, TAGGED_REQUIRED, 0);
    buf_append_u64(out, m->number);
    buf_append_u64(out, m->flushed_lsn);
    buf_append_u64(out, m->durable_lsn);
    buf_append_u64(out, m->wal_first);
    buf_append_u64(out, m->max_int_id);
    buf_append_u64(out, m->has_int_id);
    buf_append_u64(out, (uint64_t)m->created_us);
    tagged_end(out, begin);
}

static void encode_field(const struct manifest_field *f, uint32_t number, struct buf *out)
{
    size_t name_bytes = strlen(f->name);
    size_t begin = tagged_begin(out, TAG_VECTOR_FIELD, TAGGED_REQUIRED, number);
    buf_append_u8(out, f->kind);
    buf_append_u8(out, f->storage);
    buf_append_u8(out, f->metric);
    /* Others stand in INDEX_PLAN, which the first releases skip. */
    buf_append_u8(out, manifest_index_has_plan(f) ? MANIFEST_INDEX_FLAT : f->index_kind);
    buf_append_u32(out, f->dim);
    buf_append_u8(out, (uint8_t)name_bytes);
    buf_append(out, f->name, name_bytes);
    tagged_end(out, begin);
}

static void encode_options(const struct manifest *m, struct buf *out)
{
    size_t text_bytes = m->description ? strlen(m->description) : 0;
    size_t begin = tagged_begin(out, TAG_OPTIONS, TAGGED_REQUIRED, 0);
    buf_append_u8(out, m->sync_level);
    buf_append_zeros(out, 3);
    buf_append_u32(out, m->sync_interval_ms);
    buf_append_u32(out, (uint32_t)text_bytes);
    buf_append(out, m->description, text_bytes);
    tagged_end(out, begin);
}

static void encode_segment(const struct manifest_segment *s, struct buf *out)
{
    size_t begin = tagged_begin(out, TAG_SEGMENT, TAGGED_REQUIRED, 0);
    buf_append(out, s->uuid.bytes, sizeof s->uuid.bytes);
    buf_append_u64(out, s->first_lsn);
    buf_append_u64(out, s->last_lsn);
    buf_append_u64(out, s->row_count);
    buf_append_u64(out, s->map_lsn);
    buf_append_u64(out, s->del_lsn);
    buf_append_u32(out, s->part_count - manifest_index_count(s));
    buf_append_u32(out, 0);
    for (uint32_t i = 0; i < s->part_count; i++) {
        const struct manifest_part *p = &s->parts[i];
        if (p->kind == PART_INDEX) continue; /* SEGMENT_INDEX */
        buf_append_u16(out, p->kind);
        buf_append_u16(out, p->field);
        buf_append_u32(out, 0);
        buf_append_u64(out, p->bytes);
        buf_append_u64(out, p->hash.low);
        buf_append_u64(out, p->hash.high);
    }
    tagged_end(out, begin);
}

int manifest_encode(const struct manifest *m, struct buf *out, struct error *err)
{
    if (check(m, LYNSE_INTERNAL, err) != 0) return -1;
    encode_state(m, out);
    for (uint32_t i = 0; i < m->field_count; i++) encode_field(&m->fields[i], i, out);
    encode_options(m, out);
    for (uint32_t i = 0; i < m->segment_count; i++) encode_segment(&m->segments[i], out);
    manifest_index_encode(m, out);
    for (size_t i = 0; i < m->hooks.count; i++) {
        size_t begin = tagged_begin(out, TAG_HOOK, 0, 0);
        installed_hook_encode(m->hooks.list[i], out);
        tagged_end(out, begin);
    }
    if (m->requests.count > 0) {
        size_t begin = tagged_begin(out, TAG_REQUESTS, 0, 0);
        applied_requests_encode(&m->requests, out);
        tagged_end(out, begin);
    }
    return buf_ok(out) ? 0 : error_no_memory(err, out->capacity);
}

/* ---- decoding ---- */

static int decode_state(struct manifest *m, struct reader *r)
{
    uint64_t has_int_id = 0;
    read_u64(r, &m->number);
    read_u64(r, &m->flushed_lsn);
    read_u64(r, &m->durable_lsn);
    read_u64(r, &m->wal_first);
    read_u64(r, &m->max_int_id);
    read_u64(r, &has_int_id);
    read_i64(r, &m->created_us);
    m->has_int_id = has_int_id == 1;
    return has_int_id <= 1 ? 0 : -1;
}

static int decode_field(struct manifest *m, const struct tagged_field *t, struct reader *r)
{
    uint8_t name_bytes = 0;

    if (t->number != m->field_count) return -1; /* numbers run from 0 without gaps */
    struct manifest_field *f = &m->fields[m->field_count];
    *f = (struct manifest_field){0};
    read_u8(r, &f->kind);
    read_u8(r, &f->storage);
    read_u8(r, &f->metric);
    read_u8(r, &f->index_kind);
    read_u32(r, &f->dim);
    read_u8(r, &name_bytes);
    struct slice name = reader_take(r, name_bytes);
    if (r->failed || name.size >= sizeof f->name) return -1;
    if (name.size > 0 && memchr(name.data, '\0', name.size)) return -1;
    if (name.size > 0) memcpy(f->name, name.data, name.size);
    m->field_count++;
    return 0;
}

static int decode_options(struct manifest *m, struct reader *r, bool *out_no_memory)
{
    uint32_t text_bytes = 0;

    read_u8(r, &m->sync_level);
    struct slice reserved = reader_take(r, 3);
    read_u32(r, &m->sync_interval_ms);
    read_u32(r, &text_bytes);
    struct slice text = reader_take(r, text_bytes);
    if (r->failed || !bytes_are_zero(reserved.data, 3)) return -1;
    if (text.size > LIMIT_DESCRIPTION_BYTES) return -1;
    if (text.size == 0) return 0;
    if (memchr(text.data, '\0', text.size)) return -1;
    m->description = mem_copy_text(m->alloc, MEM_GENERAL, (const char *)text.data, text.size);
    *out_no_memory = !m->description;
    return m->description ? 0 : -1;
}

static int decode_segment(struct manifest *m, struct reader *r)
{
    struct manifest_segment *s = &m->segments[m->segment_count];
    uint32_t reserved = 0;

    *s = (struct manifest_segment){0};
    struct slice uuid = reader_take(r, sizeof s->uuid.bytes);
    read_u64(r, &s->first_lsn);
    read_u64(r, &s->last_lsn);
    read_u64(r, &s->row_count);
    read_u64(r, &s->map_lsn);
    read_u64(r, &s->del_lsn);
    read_u32(r, &s->part_count);
    read_u32(r, &reserved);
    if (r->failed || reserved != 0) return -1;
    if (s->part_count > SEGMENT_PARTS_MAX + PLANTED(MANIFEST_PART_COUNT)) return -1;
    memcpy(s->uuid.bytes, uuid.data, uuid.size);
    for (uint32_t i = 0; i < s->part_count; i++) {
        struct manifest_part *p = &s->parts[i];
        read_u16(r, &p->kind);
        read_u16(r, &p->field);
        read_u32(r, &reserved);
        read_u64(r, &p->bytes);
        read_u64(r, &p->hash.low);
        read_u64(r, &p->hash.high);
        if (reserved != 0) return -1;
    }
    m->segment_count++;
    return 0;
}

static int decode_requests(struct manifest *m, struct reader *r, bool *out_no_memory)
{
    struct error failed = {0};
    int rc = applied_requests_decode(m->alloc, r, &m->requests, &failed);

    *out_no_memory = failed.code == LYNSE_NO_MEMORY;
    return rc;
}

static int decode_hook(struct manifest *m, struct reader *r, bool *out_no_memory)
{
    struct error failed = {0};

    if (m->hooks.count == INSTALLED_HOOKS_MAX) return -1;
    if (installed_hook_decode(m->alloc, r, &m->hooks.list[m->hooks.count], &failed) != 0) {
        *out_no_memory = failed.code == LYNSE_NO_MEMORY;
        return -1;
    }
    m->hooks.count++;
    return 0;
}

/* Room for all fields and segments of the body, counted first: its bytes bound them. */
static int decode_reserve(struct manifest *m, struct slice body, struct error *err)
{
    struct reader r = reader_of(body);
    struct tagged_field t;
    size_t fields = 0, segments = 0;
    int more;

    while ((more = tagged_next(&r, WHAT, &t, err)) == 1) {
        fields += t.tag == TAG_VECTOR_FIELD;
        segments += t.tag == TAG_SEGMENT;
    }
    if (more < 0) return -1;
    if (fields > MANIFEST_FIELDS_MAX || segments > LIMIT_SEGMENTS)
        return error_set(err, LYNSE_CORRUPT, "manifest: %zu vector fields and %zu segments", fields,
                         segments);
    size_t fields_bytes = fields * sizeof *m->fields;
    size_t segments_bytes = segments * sizeof *m->segments;
    if (fields) m->fields = mem_alloc(m->alloc, MEM_GENERAL, fields_bytes);
    if (segments) m->segments = mem_alloc(m->alloc, MEM_GENERAL, segments_bytes);
    if ((fields && !m->fields) || (segments && !m->segments))
        return error_no_memory(err, fields_bytes + segments_bytes);
    return 0;
}

static int decode_one(struct manifest *m, const struct tagged_field *t, uint32_t *seen,
                      struct error *err)
{
    struct reader r = reader_of(t->data);
    bool is_single = t->tag == TAG_STATE || t->tag == TAG_OPTIONS || t->tag == TAG_REQUESTS;
    bool no_memory = false;
    int rc = -1;

    if (is_single && (t->number != 0 || (*seen >> t->tag & 1)))
        return error_set(err, LYNSE_CORRUPT, "manifest: field %u stands there twice", t->tag);
    switch (t->tag) {
    case TAG_STATE:
        rc = decode_state(m, &r);
        break;
    case TAG_VECTOR_FIELD:
        rc = decode_field(m, t, &r);
        break;
    case TAG_OPTIONS:
        rc = decode_options(m, &r, &no_memory);
        break;
    case TAG_SEGMENT:
        rc = t->number == 0 ? decode_segment(m, &r) : -1;
        break;
    case TAG_HOOK:
        rc = t->number == 0 ? decode_hook(m, &r, &no_memory) : -1;
        break;
    case TAG_REQUESTS:
        rc = decode_requests(m, &r, &no_memory);
        break;
    case TAG_INDEX_PLAN:
        rc =
            t->number < m->field_count ? manifest_index_decode_plan(&m->fields[t->number], &r) : -1;
        break;
    case TAG_INDEX_AUTO:
        rc = t->number < m->field_count ? manifest_index_decode_auto(&m->fields[t->number]) : -1;
        break;
    case TAG_SEGMENT_INDEX:
        rc = t->number < m->segment_count ? manifest_index_decode_part(&m->segments[t->number], &r)
                                          : -1;
        break;
    default:
        return tagged_unknown(t, WHAT, err);
    }
    if (no_memory) return error_no_memory(err, t->data.size);
    if (rc != 0 || r.failed || reader_left(&r) != 0)
        return error_set(err, LYNSE_CORRUPT, "manifest: field %u is malformed", t->tag);
    *seen |= 1u << t->tag;
    return 0;
}

int manifest_decode(struct manifest *m, struct slice body, struct error *err)
{
    int rc = -1;
    int more;
    uint32_t seen = 0;
    uint32_t needed = 1u << TAG_STATE | 1u << TAG_OPTIONS;
    struct reader r = reader_of(body);
    struct tagged_field t;

    if (decode_reserve(m, body, err) != 0) goto out;
    while ((more = tagged_next(&r, WHAT, &t, err)) == 1)
        if (decode_one(m, &t, &seen, err) != 0) goto out;
    if (more < 0) goto out;
    if ((seen & needed) != needed) {
        error_set(err, LYNSE_CORRUPT, "manifest: state or options are missing");
        goto out;
    }
    rc = check(m, LYNSE_CORRUPT, err);
out:
    if (rc != 0) manifest_deinit(m);
    return rc;
}

/* ---- files ---- */

int manifest_publish(const struct manifest *m, struct vfs_dir *dir, const struct file_owner *owner,
                     struct rng *rng, bool *out_renamed, struct error *err)
{
    int rc = -1;
    struct buf body;

    *out_renamed = false;
    buf_init(&body, m->alloc, MEM_GENERAL);
    if (manifest_encode(m, &body, err) != 0) goto out;
    uint32_t features =
        (m->hooks.count > 0 ? FEATURE_HOOKS : 0) | (manifest_has_index(m) ? FEATURE_INDEXES : 0);
    rc = twin_file_publish(dir, MANIFEST_PREFIX, m->epoch, MAGIC_MANIFEST, features, owner,
                           buf_slice(&body), rng, m->alloc, out_renamed, err);
out:
    buf_deinit(&body);
    return rc;
}

static int load_epoch(struct manifest *m, uint64_t epoch, struct vfs_dir *dir,
                      const struct file_owner *owner, struct twin_info *out_info, struct error *err)
{
    int rc = -1;
    struct buf body;

    buf_init(&body, m->alloc, MEM_GENERAL);
    if (twin_file_read(dir, MANIFEST_PREFIX, epoch, MAGIC_MANIFEST, owner, &body, out_info, err))
        goto out;
    if (manifest_decode(m, buf_slice(&body), err) != 0) goto out;
    m->epoch = epoch;
    if (manifest_check_files(m, dir, err) != 0) {
        manifest_deinit(m);
        goto out;
    }
    rc = 0;
out:
    if (rc != 0) error_wrap(err, MANIFEST_PREFIX "%llu", (unsigned long long)epoch);
    buf_deinit(&body);
    return rc;
}

int manifest_load(struct manifest *m, struct vfs_dir *dir, const struct file_owner *owner,
                  struct twin_info *out_info, struct error *err)
{
    uint64_t epoch = 0;
    bool found = false;

    if (twin_file_newest(dir, MANIFEST_PREFIX, &epoch, &found, err) != 0) return -1;
    if (!found) return error_set(err, LYNSE_NOT_FOUND, "there is no manifest");
    int rc = load_epoch(m, epoch, dir, owner, out_info, err);
    while (FAULT(MANIFEST_FALLBACK) && rc != 0 && epoch > 0) /* breaks (1) */
        rc = load_epoch(m, --epoch, dir, owner, out_info, err);
    return rc;
}
