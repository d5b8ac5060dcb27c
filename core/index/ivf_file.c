/* SPDX-License-Identifier: Apache-2.0 */
/* ivf_file.c — lists as sections of an image, and back; and what must hold of them.
 *
 * WHAT        See ivf.h.
 * INVARIANTS  (1) After open every number of the image that a search follows is within it: starts
 *                 ascend to the number of rows, and rows are a permutation.  Centroids, radii and
 *                 vectors may be any floats: then the wrong rows are found, and nothing else.
 * THREADS     Any; one for each.
 * FAILURE     CORRUPT, NO_MEMORY; what the writer or the quantizer says.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/limits.h"
#include "base/planted.h"
#include "index/ivf_build.h"
#include "index/quantizer_image.h"

enum { PIECE_BYTES = 256 << 10 };
_Static_assert(PIECE_BYTES >= LIMIT_DIM * sizeof(float), "a vector fits");

/* ---- Out ---- */

/* Vectors by place, or their norms. */
static int write_vectors(struct ivf_build *b, struct index_writer *w, bool norms, struct error *err)
{
    uint32_t floats = norms ? 1 : b->dim, used = 0;
    uint32_t most = PIECE_BYTES / (floats * (uint32_t)sizeof(float));
    float *piece = (float *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, PIECE_BYTES, 64);
    uint32_t kind = norms ? IVF_SECTION_NORMS : IVF_SECTION_VECTORS;
    int rc = -1;

    if (!piece) return error_no_memory(err, PIECE_BYTES);
    if (w->begin(w, kind, sizeof(float), floats, err) != 0) goto out;
    for (uint32_t place = 0; place < b->desc.row_count; place++) {
        const float *vector;
        float norm;
        if (ivf_row(b, b->lists.order[place], &vector, &norm, err) != 0) goto out;
        memcpy(piece + (size_t)used * floats, norms ? &norm : vector, floats * sizeof(float));
        if (++used < most && place + 1 < b->desc.row_count) continue;
        if (w->write(w, piece, (size_t)used * floats * sizeof(float), err) != 0) goto out;
        used = 0;
    }
    rc = w->end(w, err);
out:
    mem_free(b->desc.alloc, piece);
    return rc;
}

static int write_codes(struct ivf_build *b, struct index_writer *w, struct error *err)
{
    if (quantizer_write_section(w, b->desc.alloc, b->desc.quantizer.kind, b->quantizer, err) != 0)
        return -1;
    return index_write_section(w, INDEX_SECTION_BLOCKS, 1, b->block_bytes, b->blocks,
                               b->block_starts[b->list_count] * b->block_bytes, err);
}

int ivf_save(struct ivf_build *b, struct index_writer *w, struct error *err)
{
    const struct ivf_head head = {
        .version = IVF_VERSION,
        .row_count = b->desc.row_count,
        .dim = b->dim,
        .metric = b->desc.metric,
        .list_count = b->list_count,
        .nprobe = b->nprobe,
        .quantizer = b->desc.quantizer.kind,
    };
    size_t lists = b->list_count, rows = b->desc.row_count;

    if (index_write_section(w, IVF_SECTION_HEAD, 4, IVF_VERSION, &head, sizeof head, err) != 0 ||
        index_write_section(w, IVF_SECTION_CENTROIDS, 4, b->dim,
                            kmeans_centroids(b->kmeans)->vectors, lists * b->dim * sizeof(float),
                            err) != 0 ||
        index_write_section(w, IVF_SECTION_STARTS, 4, lists, b->lists.starts, (lists + 1) * 4,
                            err) != 0 ||
        index_write_section(w, IVF_SECTION_RADII, 4, lists, b->radii, lists * 4, err) != 0 ||
        index_write_section(w, IVF_SECTION_ROWS, 4, rows, b->lists.order, rows * 4, err) != 0)
        return -1;
    const struct centroids *c = kmeans_centroids(b->kmeans);
    if (c->groups &&
        index_write_section(w, IVF_SECTION_GROUPS, 4, c->groups->count, c->group_starts,
                            (c->groups->count + 1) * sizeof *c->group_starts, err) != 0)
        return -1;
    if (b->vtab) return write_codes(b, w, err);
    if (write_vectors(b, w, false, err) != 0) return -1;
    return write_vectors(b, w, true, err);
}

/* ---- In ---- */

static int check_head(const struct ivf_head *head, const struct index_open_desc *d,
                      struct error *err)
{
    const struct metric_info *metric = metric_find(head->metric);

    if (head->version != IVF_VERSION || head->row_count != d->row_count || head->dim != d->dim ||
        head->metric != (uint32_t)d->metric || !metric || d->row_count == 0)
        return error_set(err, LYNSE_CORRUPT,
                         "the ivf index is version %u of %u rows, dimension %u, metric %u",
                         head->version, head->row_count, head->dim, head->metric);
    if (head->list_count < 1 || head->list_count > head->row_count ||
        head->list_count > IVF_CLUSTERS_MAX || head->nprobe < 1 ||
        head->nprobe > IVF_CLUSTERS_MAX || head->quantizer >= QUANTIZER_COUNT ||
        !index_ivf.takes(metric, (enum quantizer_kind)head->quantizer))
        return error_set(err, LYNSE_CORRUPT, "the ivf index has %u lists, nprobe %u, quantizer %u",
                         head->list_count, head->nprobe, head->quantizer);
    return 0;
}

static int check_starts(const struct ivf *v, struct error *err)
{
    for (uint32_t list = 0; list < v->centers.count; list++)
        if (v->starts[list] > v->starts[list + 1])
            return error_set(err, LYNSE_CORRUPT, "list %u of the ivf index goes from %u to %u",
                             list, v->starts[list], v->starts[list + 1]);
    if (v->starts[0] != 0 || v->starts[v->centers.count] != v->base.row_count)
        return error_set(err, LYNSE_CORRUPT, "the lists of the ivf index go from %u to %u, of %u",
                         v->starts[0], v->starts[v->centers.count], v->base.row_count);
    return 0;
}

/* Each row once. */
static int check_rows(const struct ivf *v, struct error *err)
{
    uint32_t count = v->base.row_count;
    size_t words = count / 64 + 1;
    uint64_t *seen = (uint64_t *)mem_zalloc(v->alloc, MEM_SEGMENT, words * sizeof *seen);
    uint32_t place = 0;

    if (!seen) return error_no_memory(err, words * sizeof *seen);
    for (; place < count; place++) {
        uint32_t row = v->rows[place];
        if (row >= count + PLANTED(IVF_ROW_END) || seen[row / 64] >> (row % 64) & 1) break;
        seen[row / 64] |= 1ull << (row % 64);
    }
    mem_free(v->alloc, seen);
    if (place == count) return 0;
    return error_set(err, LYNSE_CORRUPT, "place %u of the ivf index has row %u, of %u, or again",
                     place, v->rows[place], count);
}

static int places_run(const struct vector_source *s, uint32_t row, uint32_t row_max,
                      struct vector_run *out, struct error *err)
{
    (void)err;
    *out = (struct vector_run){s->all + (size_t)row * s->dim, s->all_norms + row, row_max};
    return 0;
}

static int open_vectors(struct ivf *v, const struct index_image *image, struct error *err)
{
    const void *vectors, *norms;
    size_t rows = v->base.row_count;

    if (index_image_require(image, IVF_SECTION_VECTORS, 4, rows * v->centers.dim * 4, &vectors,
                            err) != 0 ||
        index_image_require(image, IVF_SECTION_NORMS, 4, rows * 4, &norms, err) != 0)
        return -1;
    v->places = (struct vector_source){
        .run = places_run,
        .dim = v->centers.dim,
        .all = (const float *)vectors,
        .all_norms = (const float *)norms,
    };
    return 0;
}

static int open_codes(struct ivf *v, const struct index_open_desc *desc, struct error *err)
{
    uint32_t block = 0;
    const void *blocks;

    if (quantizer_open_section(desc, true, &v->quantizer, err) != 0) {
        v->quantizer = NULL;
        return -1;
    }
    v->vtab = v->quantizer->vtab;
    v->base.memory_bytes += v->vtab->memory_bytes(v->quantizer);
    for (uint32_t list = 0; list < v->centers.count; list++) {
        v->block_starts[list] = block;
        block += ivf_block_count(v->starts[list + 1] - v->starts[list]);
    }
    v->block_starts[v->centers.count] = block;
    v->block_bytes = v->vtab->block_bytes(v->quantizer);
    if (index_image_require(desc->image, INDEX_SECTION_BLOCKS, 1, block * v->block_bytes, &blocks,
                            err) != 0)
        return -1;
    v->blocks = (const uint8_t *)blocks;
    return 0;
}

static const struct list_sections sections = {IVF_SECTION_CENTROIDS, IVF_SECTION_RADII,
                                              IVF_SECTION_GROUPS};

static int open_lists(struct ivf *v, const struct index_open_desc *desc, struct error *err)
{
    const struct index_image *image = desc->image;
    size_t lists = v->centers.count, rows = v->base.row_count;
    const void *starts, *order;

    if (list_centers_open(&v->centers, v->alloc, image, &sections, err) != 0 ||
        index_image_require(image, IVF_SECTION_STARTS, 4, (lists + 1) * 4, &starts, err) != 0 ||
        index_image_require(image, IVF_SECTION_ROWS, 4, rows * 4, &order, err) != 0)
        return -1;
    v->starts = (const uint32_t *)starts;
    v->rows = (const uint32_t *)order;
    if (check_starts(v, err) != 0 || check_rows(v, err) != 0) return -1;
    v->block_starts =
        (uint32_t *)mem_alloc(v->alloc, MEM_SEGMENT, (lists + 1) * sizeof *v->block_starts);
    if (!v->block_starts) return error_no_memory(err, lists * 4);
    v->base.memory_bytes = sizeof *v + (lists + 1) * 4 + list_centers_bytes(&v->centers);
    return v->vtab == &quantizer_raw ? open_vectors(v, image, err) : open_codes(v, desc, err);
}

int ivf_open(const struct index_open_desc *desc, struct index **out, struct error *err)
{
    const void *head_bytes;
    struct ivf_head head;

    if (index_image_require(desc->image, IVF_SECTION_HEAD, 4, sizeof head, &head_bytes, err) != 0)
        return -1;
    memcpy(&head, head_bytes, sizeof head);
    if (check_head(&head, desc, err) != 0) return -1;
    struct ivf *v = (struct ivf *)mem_zalloc(desc->alloc, MEM_SEGMENT, sizeof *v);
    if (!v) return error_no_memory(err, sizeof *v);
    v->base = (struct index){&index_ivf, desc->row_count, sizeof *v};
    v->alloc = desc->alloc;
    v->centers = (struct list_centers){
        .kernels = desc->kernels,
        .metric = desc->metric,
        .dim = desc->dim,
        .count = head.list_count,
    };
    v->nprobe = head.nprobe;
    v->vtab = quantizer_find(head.quantizer);
    if (open_lists(v, desc, err) != 0) {
        ivf_close(&v->base);
        return -1;
    }
    *out = &v->base;
    return 0;
}

void ivf_close(struct index *index)
{
    struct ivf *v = (struct ivf *)index;
    if (!v) return;
    if (v->quantizer) v->vtab->destroy(v->quantizer);
    mem_free(v->alloc, v->block_starts);
    list_centers_close(&v->centers, v->alloc);
    mem_free(v->alloc, v);
}

/* ---- What must hold ---- */

enum { PROBES = 256 }; /* rows that must lie in one of the lists that a search for them reads */

static int check_place(const struct ivf *v, const struct vector_source *source, uint32_t list,
                       uint32_t place, struct error *err)
{
    const float *center = list_center(&v->centers, list);
    struct vector_run run;
    float distance;

    if (source->run(source, v->rows[place], 1, &run, err) != 0) return -1;
    if (v->places.all && memcmp(run.vectors, v->places.all + (size_t)place * v->centers.dim,
                                v->centers.dim * sizeof(float)) != 0)
        return error_set(err, LYNSE_CORRUPT, "the ivf index has another vector than row %u",
                         v->rows[place]);
    if (v->centers.value == METRIC_VALUE_ANGLE) {
        float product = v->centers.kernels->dense_dot_f32(run.vectors, center, v->centers.dim);
        distance = metric_cosine_distance(product, run.norms[0], v->centers.norms[list]);
    } else {
        distance = v->centers.kernels->dense_l2_f32(run.vectors, center, v->centers.dim);
    }
    if (list_is_beyond(&v->centers, list, distance))
        return error_set(err, LYNSE_CORRUPT, "row %u lies outside of list %u of the ivf index",
                         v->rows[place], list);
    return 0;
}

/* How far the route has it from a row to a list; of an angle what is ordered alike. */
static float route_distance(const struct ivf *v, const float *vector, uint32_t list)
{
    const float *center = list_center(&v->centers, list);
    return v->centers.value == METRIC_VALUE_ANGLE
               ? -v->centers.kernels->dense_dot_f32(vector, center, v->centers.dim)
               : v->centers.kernels->dense_l2_f32(vector, center, v->centers.dim);
}

/* How many centroids are nearer to the place's row than that of its list. */
static int count_nearer(const struct ivf *v, const struct vector_source *source, uint32_t list,
                        uint32_t place, uint32_t *out, struct error *err)
{
    struct vector_run run;

    if (source->run(source, v->rows[place], 1, &run, err) != 0) return -1;
    float own = route_distance(v, run.vectors, list);
    *out = 0;
    for (uint32_t i = 0; i < v->centers.count; i++) *out += route_distance(v, run.vectors, i) < own;
    return 0;
}

int ivf_check(const struct index *index, const struct vector_source *vectors, struct error *err)
{
    const struct ivf *v = (const struct ivf *)index;
    uint32_t stride = v->base.row_count / PROBES + 1, probed = 0, found = 0;

    if (check_starts(v, err) != 0 || check_rows(v, err) != 0) return -1;
    for (uint32_t list = 0; list < v->centers.count; list++)
        for (uint32_t place = v->starts[list]; place < v->starts[list + 1]; place++) {
            uint32_t nearer;
            if (check_place(v, vectors, list, place, err) != 0) return -1;
            if (place % stride != 0 || v->centers.route != v->centers.metric) continue;
            if (count_nearer(v, vectors, list, place, &nearer, err) != 0) return -1;
            probed++;
            found += nearer < v->nprobe;
        }
    if (found * 10 >= probed * 9) return 0;
    return error_set(err, LYNSE_CORRUPT, "only %u of %u rows lie in lists that are near to them",
                     found, probed);
}
