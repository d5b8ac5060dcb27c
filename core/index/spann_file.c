/* SPDX-License-Identifier: Apache-2.0 */
/* spann_file.c — short lists as sections of an image, and back.
 *
 * WHAT        See spann.h.
 * INVARIANTS  (1) After open every number in memory that a search follows is within the image; of
 *                 the lists on the disk spann_list_check sees to it when one is read.  Centers,
 *                 radii and vectors may be any floats: then the wrong rows are found, and nothing
 *                 else.
 * THREADS     Any; one for each.
 * FAILURE     CORRUPT, NO_MEMORY; what the writer or the image says.
 */
#include <string.h>

#include "base/hash.h"
#include "base/planted.h"
#include "index/spann_build.h"
#include "quant/narrow_rows.h"

/* ---- Out ---- */

static int write_head(const struct spann_build *b, struct index_writer *w, struct error *err)
{
    const struct spann_head head = {
        .version = SPANN_VERSION,
        .row_count = b->desc.row_count,
        .dim = b->dim,
        .metric = b->desc.metric,
        .list_count = b->lists.count,
        .list_rows = b->list_rows,
        .nprobe = (uint32_t)b->desc.params->values[SPANN_NPROBE],
        .prune = (float)b->desc.params->values[SPANN_PRUNE],
    };

    return index_write_section(w, SPANN_SECTION_HEAD, 4, SPANN_VERSION, &head, sizeof head, err);
}

static int write_centers(const struct spann_build *b, struct index_writer *w, struct error *err)
{
    if (w->begin(w, SPANN_SECTION_CENTERS, 4, b->dim, err) != 0) return -1;
    for (uint32_t list = 0; list < b->lists.count; list++) {
        const float *center = list_center(&b->centers, b->lists.centers[list]);
        if (w->write(w, center, b->dim * sizeof *center, err) != 0) return -1;
    }
    return w->end(w, err);
}

static int fill_list(const struct spann_build *b, uint32_t list, uint8_t *out, struct error *err)
{
    const struct spann_lists *l = &b->lists;
    const uint32_t *rows = l->rows + l->starts[list];
    uint32_t count = l->starts[list + 1] - l->starts[list];
    size_t bytes = spann_list_bytes(count, b->dim);
    struct spann_list *head = (struct spann_list *)(void *)out;
    uint32_t *out_rows = (uint32_t *)(uintptr_t)spann_rows(out);
    float *norms = (float *)(uintptr_t)spann_norms(out, count);
    float *vectors = (float *)(uintptr_t)spann_vectors(out, count);

    memset(out, 0, bytes);
    head->number = list;
    head->row_count = count;
    memcpy(out_rows, rows, count * sizeof *rows);
    for (uint32_t i = 0; i < count; i++)
        if (vector_source_read(b->desc.vectors, rows[i], 1, vectors + (size_t)i * b->dim, norms + i,
                               err) != 0)
            return -1;
    head->hash = hash_xxh3_64(out + sizeof head->hash, bytes - sizeof head->hash);
    return 0;
}

static int write_lists(const struct spann_build *b, struct index_writer *w, struct error *err)
{
    const uint32_t *starts = b->lists.starts;
    size_t most = spann_list_bytes(b->list_rows, b->dim);
    uint8_t *bytes = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, most, ALIGN_VECTOR);
    int rc = -1;

    if (!bytes) return error_no_memory(err, most);
    if (w->begin(w, SPANN_SECTION_LISTS, 1, b->lists.count, err) != 0) goto out;
    for (uint32_t list = 0; list < b->lists.count; list++) {
        size_t size = spann_list_bytes(starts[list + 1] - starts[list], b->dim);
        if (fill_list(b, list, bytes, err) != 0 || w->write(w, bytes, size, err) != 0) goto out;
    }
    rc = w->end(w, err);
out:
    mem_free(b->desc.alloc, bytes);
    return rc;
}

int spann_save(struct spann_build *b, struct index_writer *w, struct error *err)
{
    const struct spann_lists *l = &b->lists;
    size_t groups = b->centers.group_count;

    if (write_head(b, w, err) != 0 || write_centers(b, w, err) != 0 ||
        index_write_section(w, SPANN_SECTION_STARTS, 4, l->count, l->starts,
                            ((size_t)l->count + 1) * 4, err) != 0 ||
        index_write_section(w, SPANN_SECTION_RADII, 4, l->count, l->radii, (size_t)l->count * 4,
                            err) != 0)
        return -1;
    if (groups > 0 && index_write_section(w, SPANN_SECTION_GROUPS, 4, groups, b->group_starts,
                                          (groups + 1) * 4, err) != 0)
        return -1;
    return write_lists(b, w, err);
}

/* ---- In ---- */

static int check_head(const struct spann_head *head, const struct index_open_desc *d,
                      struct error *err)
{
    if (head->version != SPANN_VERSION || head->row_count != d->row_count || head->dim != d->dim ||
        head->metric != (uint32_t)d->metric || d->row_count == 0)
        return error_set(err, LYNSE_CORRUPT,
                         "the spann index is version %u of %u rows, dimension %u, metric %u",
                         head->version, head->row_count, head->dim, head->metric);
    if (head->list_count < 1 || head->list_rows < 1 ||
        head->list_rows > spann_list_rows_max(head->dim) || head->nprobe < 1 ||
        head->nprobe > SPANN_CLUSTERS_MAX || !(head->prune >= 0))
        return error_set(err, LYNSE_CORRUPT,
                         "the spann index has %u lists of up to %u rows, nprobe %u, prune %g",
                         head->list_count, head->list_rows, head->nprobe, (double)head->prune);
    return 0;
}

/* Where lists are, and that they are no longer than was said. */
static int open_starts(struct spann *s, const struct spann_head *head, struct error *err)
{
    uint32_t count = s->centers.count;
    size_t bytes = ((size_t)count + 1) * sizeof *s->offsets;

    s->offsets = (uint64_t *)mem_alloc(s->alloc, MEM_SEGMENT, bytes);
    if (!s->offsets) return error_no_memory(err, bytes);
    s->offsets[0] = 0;
    for (uint32_t list = 0; list < count; list++) {
        uint32_t rows = s->starts[list + 1] - s->starts[list];
        if (s->starts[list] > s->starts[list + 1] || rows > head->list_rows)
            return error_set(err, LYNSE_CORRUPT, "list %u of the spann index goes from %u to %u",
                             list, s->starts[list], s->starts[list + 1]);
        s->list_rows = rows > s->list_rows ? rows : s->list_rows;
        s->offsets[list + 1] = s->offsets[list] + spann_list_bytes(rows, s->centers.dim);
    }
    if (s->starts[0] != 0 || s->starts[count] < s->base.row_count)
        return error_set(err, LYNSE_CORRUPT, "the lists of the spann index go from %u to %u, of %u",
                         s->starts[0], s->starts[count], s->base.row_count);
    s->base.memory_bytes += bytes;
    return 0;
}

static int open_lists(struct spann *s, const struct index_image *image, struct error *err)
{
    const struct index_section *section = index_image_find(image, SPANN_SECTION_LISTS);

    if (!section || section->bytes != s->offsets[s->centers.count] ||
        (!section->data && !image->read_at))
        return error_set(err, LYNSE_CORRUPT, "the spann index has no %u lists", s->centers.count);
    if (disk_reads_create(s->alloc, image, section, &s->reads, err) != 0) return -1;
    s->base.memory_bytes += s->reads->memory_bytes;
    return 0;
}

static int open_sections(struct spann *s, const struct index_open_desc *desc, struct error *err)
{
    static const struct list_sections sections = {SPANN_SECTION_CENTERS, SPANN_SECTION_RADII,
                                                  SPANN_SECTION_GROUPS};
    const struct index_image *image = desc->image;
    const void *data, *starts;
    struct spann_head head;

    if (index_image_require(image, SPANN_SECTION_HEAD, 4, sizeof head, &data, err) != 0) return -1;
    memcpy(&head, data, sizeof head);
    if (check_head(&head, desc, err) != 0) return -1;
    s->nprobe = head.nprobe;
    s->prune = head.prune;
    s->centers.count = head.list_count;
    if (list_centers_open(&s->centers, s->alloc, image, &sections, err) != 0 ||
        index_image_require(image, SPANN_SECTION_STARTS, 4, ((uint64_t)head.list_count + 1) * 4,
                            &starts, err) != 0)
        return -1;
    s->base.memory_bytes += list_centers_bytes(&s->centers);
    s->starts = (const uint32_t *)starts;
    if (open_starts(s, &head, err) != 0) return -1;
    return open_lists(s, image, err);
}

int spann_open(const struct index_open_desc *desc, struct index **out, struct error *err)
{
    struct spann *s = (struct spann *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *s);

    if (!s) return error_no_memory(err, sizeof *s);
    s->base = (struct index){&index_spann, desc->row_count, sizeof *s};
    s->alloc = desc->alloc;
    s->centers = (struct list_centers){
        .kernels = desc->kernels,
        .metric = desc->metric,
        .dim = desc->dim,
    };
    if (open_sections(s, desc, err) != 0) {
        spann_close(&s->base);
        return -1;
    }
    *out = &s->base;
    return 0;
}

void spann_close(struct index *index)
{
    struct spann *s = (struct spann *)index;

    if (!s) return;
    disk_reads_destroy(s->reads);
    mem_free(s->alloc, s->offsets);
    list_centers_close(&s->centers, s->alloc);
    mem_free(s->alloc, s);
}

int spann_list_check(const struct spann *s, uint32_t list, const uint8_t *bytes, struct error *err)
{
    const struct spann_list *head = (const struct spann_list *)(const void *)bytes;
    size_t hashed = sizeof head->hash, size = (size_t)(s->offsets[list + 1] - s->offsets[list]);
    uint32_t count = spann_row_count(s, list), highest = 0;

    if (head->hash != hash_xxh3_64(bytes + hashed, size - hashed))
        return error_set(err, LYNSE_CORRUPT, "list %u of the spann index is damaged", list);
    if (head->number != list || head->row_count != count)
        return error_set(err, LYNSE_CORRUPT,
                         "list %u of the spann index is list %u of %u rows, not of %u", list,
                         head->number, head->row_count, count);
    for (uint32_t i = 0; i < count; i++)
        if (spann_rows(bytes)[i] > highest) highest = spann_rows(bytes)[i];
    if (highest < s->base.row_count + PLANTED(SPANN_ROW_END)) return 0;
    return error_set(err, LYNSE_CORRUPT, "list %u of the spann index has row %u of %u", list,
                     highest, s->base.row_count);
}
