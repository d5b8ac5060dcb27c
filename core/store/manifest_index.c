/* SPDX-License-Identifier: Apache-2.0 */
/* manifest_index.c — indexes in a manifest: what is asked for, what is there, and its files.
 *
 * WHAT        A field's kind stands in its own tag where the first releases do not know it, and so
 *             do the file of a segment's index and that nobody chose the kind; all are read after
 *             what they belong to.
 * INVARIANTS  (1) A field has one plan and a segment one index of a field.
 *             (2) An index without its file is forgotten; any other file that is missing is damage.
 * THREADS     Stateless.
 * FAILURE     CORRUPT by whoever decodes the manifest.
 */
#include "store/manifest_index.h"

#include "base/log.h"
#include "codec/tagged.h"

enum { PLAN_RESERVED_BYTES = 1, PART_RESERVED_BYTES = 1 };

/* ---- what is asked for ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool is_finite(double value)
{
    const uint64_t exponent = 0x7ffull << 52;

    return (bits_of(value) & exponent) != exponent;
}

bool manifest_index_is_valid(const struct manifest_field *f)
{
    const struct manifest_index *index = &f->index;

    if (index->value_count > MANIFEST_INDEX_VALUES_MAX) return false;
    if (index->is_auto && f->index_kind == 0) return false;
    for (int i = 0; i < MANIFEST_INDEX_VALUES_MAX; i++) {
        if (!is_finite(index->values[i])) return false;
        if (i >= index->value_count && bits_of(index->values[i]) != 0) return false;
    }
    if (manifest_index_has_plan(f)) return true;
    return index->quantizer == 0 && index->quantizer_number == 0 && index->value_count == 0;
}

static void encode_plan(const struct manifest_field *f, struct buf *out)
{
    buf_append_u8(out, f->index_kind);
    buf_append_u8(out, f->index.quantizer);
    buf_append_u8(out, f->index.value_count);
    buf_append_zeros(out, PLAN_RESERVED_BYTES);
    buf_append_u32(out, f->index.quantizer_number);
    for (int i = 0; i < f->index.value_count; i++) buf_append_u64(out, bits_of(f->index.values[i]));
}

int manifest_index_decode_plan(struct manifest_field *f, struct reader *r)
{
    if (manifest_index_has_plan(f)) return -1; /* a second one */
    read_u8(r, &f->index_kind);
    read_u8(r, &f->index.quantizer);
    read_u8(r, &f->index.value_count);
    struct slice reserved = reader_take(r, PLAN_RESERVED_BYTES);
    read_u32(r, &f->index.quantizer_number);
    if (r->failed || !manifest_index_has_plan(f)) return -1;
    if (!bytes_are_zero(reserved.data, PLAN_RESERVED_BYTES)) return -1;
    if (f->index.value_count > MANIFEST_INDEX_VALUES_MAX) return -1;
    for (int i = 0; i < f->index.value_count; i++) {
        uint64_t bits = 0;
        read_u64(r, &bits);
        memcpy(&f->index.values[i], &bits, sizeof bits);
    }
    return r->failed ? -1 : 0;
}

int manifest_index_decode_auto(struct manifest_field *f)
{
    if (f->index.is_auto || f->index_kind == 0) return -1; /* a second one, or of nothing */
    f->index.is_auto = true;
    return 0;
}

bool manifest_has_index(const struct manifest *m)
{
    for (uint32_t i = 0; i < m->field_count; i++)
        if (manifest_index_has_plan(&m->fields[i]) || m->fields[i].index.is_auto) return true;
    return false;
}

/* ---- what is there ---- */

uint32_t manifest_index_count(const struct manifest_segment *s)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->part_count; i++) count += s->parts[i].kind == PART_INDEX;
    return count;
}

const struct manifest_part *manifest_find_index(const struct manifest_segment *s, uint16_t field)
{
    for (uint32_t i = 0; i < s->part_count; i++)
        if (s->parts[i].kind == PART_INDEX && s->parts[i].field == field) return &s->parts[i];
    return NULL;
}

static void drop_part(struct manifest_segment *s, uint32_t place)
{
    s->part_count--;
    memmove(&s->parts[place], &s->parts[place + 1], (s->part_count - place) * sizeof *s->parts);
}

void manifest_drop_indexes(struct manifest_segment *s)
{
    for (uint32_t i = s->part_count; i-- > 0;)
        if (s->parts[i].kind == PART_INDEX) drop_part(s, i);
}

static void encode_part(const struct manifest_part *p, struct buf *out)
{
    buf_append_u16(out, p->field);
    buf_append_u8(out, p->index_kind);
    buf_append_zeros(out, PART_RESERVED_BYTES);
    buf_append_u32(out, p->build);
    buf_append_u64(out, p->bytes);
    buf_append_u64(out, p->hash.low);
    buf_append_u64(out, p->hash.high);
}

void manifest_index_encode(const struct manifest *m, struct buf *out)
{
    for (uint32_t i = 0; i < m->field_count; i++) {
        if (!manifest_index_has_plan(&m->fields[i])) continue;
        size_t begin = tagged_begin(out, TAG_INDEX_PLAN, 0, i);
        encode_plan(&m->fields[i], out);
        tagged_end(out, begin);
    }
    for (uint32_t i = 0; i < m->field_count; i++)
        if (m->fields[i].index.is_auto) tagged_end(out, tagged_begin(out, TAG_INDEX_AUTO, 0, i));
    for (uint32_t i = 0; i < m->segment_count; i++) {
        const struct manifest_segment *s = &m->segments[i];
        for (uint32_t j = 0; j < s->part_count; j++) {
            if (s->parts[j].kind != PART_INDEX) continue;
            size_t begin = tagged_begin(out, TAG_SEGMENT_INDEX, 0, i);
            encode_part(&s->parts[j], out);
            tagged_end(out, begin);
        }
    }
}

int manifest_index_decode_part(struct manifest_segment *s, struct reader *r)
{
    if (s->part_count >= SEGMENT_PARTS_MAX) return -1;
    struct manifest_part *p = &s->parts[s->part_count++];
    *p = (struct manifest_part){.kind = PART_INDEX};
    read_u16(r, &p->field);
    read_u8(r, &p->index_kind);
    struct slice reserved = reader_take(r, PART_RESERVED_BYTES);
    read_u32(r, &p->build);
    read_u64(r, &p->bytes);
    read_u64(r, &p->hash.low);
    read_u64(r, &p->hash.high);
    return r->failed || !bytes_are_zero(reserved.data, PART_RESERVED_BYTES) ? -1 : 0;
}

/* ---- files ---- */

static int check_file(struct vfs_dir *dir, const char *name, uint64_t bytes, struct error *err)
{
    struct vfs_file *f = NULL;
    struct error inner = {0};
    uint64_t size = 0;

    if (vfs_open(dir, name, VFS_READ, &f, &inner) != 0) {
        if (inner.code == LYNSE_NOT_FOUND)
            return error_set(err, LYNSE_CORRUPT, "'%s' is missing", name);
        (void)file_open_failed(&inner);
        if (err) *err = inner;
        return -1;
    }
    int rc = vfs_size(f, &size, err);
    (void)vfs_close(f, NULL);
    if (rc == 0 && size != bytes)
        rc = error_set(err, LYNSE_CORRUPT, "'%s' has %llu bytes instead of %llu", name,
                       (unsigned long long)size, (unsigned long long)bytes);
    return rc;
}

/* A part's.  CORRUPT: *out_forget it is an index, without which all is well. */
static int check_part(struct vfs_dir *dir, const struct manifest_segment *s,
                      const struct manifest_part *p, bool *out_forget, struct error *err)
{
    char name[PART_NAME_BYTES];
    struct error failed = {0};

    *out_forget = false;
    part_name(name, &s->uuid, (enum part_kind)p->kind, manifest_part_number(s, p));
    if (check_file(dir, name, p->bytes, &failed) == 0) return 0;
    if (p->kind == PART_INDEX && failed.code == LYNSE_CORRUPT) {
        log_event(LOG_WARN, "index_dropped file=\"%s\" reason=\"%s\"", name, failed.text);
        *out_forget = true;
        return 0;
    }
    if (err) *err = failed;
    return -1;
}

int manifest_check_files(struct manifest *m, struct vfs_dir *dir, struct error *err)
{
    bool forget;

    for (uint32_t i = 0; i < m->segment_count; i++) {
        struct manifest_segment *s = &m->segments[i];
        for (uint32_t j = s->part_count; j-- > 0;) {
            if (check_part(dir, s, &s->parts[j], &forget, err) != 0) return -1;
            if (forget) drop_part(s, j);
        }
    }
    return 0;
}
