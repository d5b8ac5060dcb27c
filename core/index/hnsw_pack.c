/* SPDX-License-Identifier: Apache-2.0 */
/* hnsw_pack.c — the vectors of a graph as codes, and the codes of neighbours as blocks.
 *
 * WHAT        A quantizer is trained first; when the graph is whole and its order known, the vector
 *             of each node becomes a row of codes, and where blocks are wanted the vectors of its
 *             neighbours become blocks that are centred on its own.
 * INVARIANTS  (1) Code i of the blocks of a node is that of link i of its list; behind the last one
 *                 they are far from everything.
 * THREADS     Pieces: any at once.
 * FAILURE     NO_MEMORY; what the quantizer says.
 */
#include "base/check.h"
#include "index/hnsw_build.h"
#include "index/quantizer_image.h"

enum { PIECE_NODES = 128 };

int hnsw_pack_create(struct hnsw_build *b, struct error *err)
{
    const struct index_build_desc *d = &b->desc;
    struct hnsw_pack *p = &b->pack;

    bool is_asked_for = d->quantizer.kind != QUANTIZER_RAW;
    struct index_build_desc training = *d;

    p->layout = HNSW_BY_VECTORS;
    if (!is_asked_for) training.quantizer = b->shape.codes;
    p->kind = training.quantizer.kind;
    if (p->kind == QUANTIZER_RAW) return 0;
    p->vtab = quantizer_find(p->kind);
    if (quantizer_train_for(&training, &p->quantizer, err) != 0) return -1;
    p->stride = p->vtab->row_bytes(p->quantizer);
    p->layout = HNSW_BY_CODES;
    if (!is_asked_for || d->params->values[HNSW_FAST] == 0 || !p->vtab->pack_block) return 0;
    p->layout = HNSW_BY_BLOCKS;
    p->block_bytes = p->vtab->block_bytes(p->quantizer);
    p->block_count = hnsw_block_count(b->m);
    return 0;
}

void hnsw_pack_destroy(struct hnsw_build *b)
{
    struct hnsw_pack *p = &b->pack;

    if (p->vtab) p->vtab->destroy(p->quantizer);
    mem_free(b->desc.alloc, p->codes);
    mem_free(b->desc.alloc, p->blocks);
}

int hnsw_pack_begin(struct hnsw_build *b, struct error *err)
{
    struct hnsw_pack *p = &b->pack;
    size_t list_bytes = (size_t)b->row_count * sizeof(uint32_t);
    size_t code_bytes = (size_t)b->row_count * p->stride;
    size_t block_bytes = (size_t)b->row_count * p->block_count * p->block_bytes;

    b->numbers = (uint32_t *)mem_alloc(b->desc.alloc, MEM_SEGMENT, list_bytes);
    b->nodes = (uint32_t *)mem_alloc(b->desc.alloc, MEM_SEGMENT, list_bytes);
    if (!b->numbers || !b->nodes) return error_no_memory(err, list_bytes);
    hnsw_tree_number(b, b->numbers);
    for (uint32_t node = 0; node < b->row_count; node++) b->nodes[b->numbers[node]] = node;
    if (p->layout == HNSW_BY_VECTORS) return 0;
    p->codes = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, code_bytes, 64);
    if (!p->codes) return error_no_memory(err, code_bytes);
    if (p->layout != HNSW_BY_BLOCKS) return 0;
    p->blocks = (uint8_t *)mem_alloc_aligned(b->desc.alloc, MEM_SEGMENT, block_bytes, 64);
    return p->blocks ? 0 : error_no_memory(err, block_bytes);
}

uint32_t hnsw_pack_pieces(const struct hnsw_build *b)
{
    return b->pack.layout == HNSW_BY_VECTORS ? 0 : (b->row_count + PIECE_NODES - 1) / PIECE_NODES;
}

static void pack_blocks(const struct hnsw_build *b, uint32_t place)
{
    const struct hnsw_pack *p = &b->pack;
    uint32_t node = b->nodes[place];
    const uint32_t *list = hnsw_list(b, 0, node);
    uint8_t *block = p->blocks + (size_t)place * p->block_count * p->block_bytes;

    for (uint32_t first = 0; first < p->block_count * BLOCK_CODES; first += BLOCK_CODES) {
        const float *vectors[BLOCK_CODES];
        uint32_t count = 0;
        while (count < BLOCK_CODES && first + count < list[0]) {
            vectors[count] = hnsw_space_vector(&b->space, list[first + count + 1]);
            count++;
        }
        p->vtab->pack_block(p->quantizer, hnsw_space_vector(&b->space, node), vectors, count,
                            block);
        block += p->block_bytes;
    }
}

void hnsw_pack_piece(struct hnsw_build *b, uint32_t piece)
{
    const struct hnsw_pack *p = &b->pack;
    uint32_t first = piece * PIECE_NODES, end = first + PIECE_NODES;

    for (uint32_t place = first; place < end && place < b->row_count; place++) {
        const float *vector = hnsw_space_vector(&b->space, b->nodes[place]);
        float norm = dense_norm_f32(b->desc.kernels, vector, b->dim);
        p->vtab->encode(p->quantizer, vector, &norm, 1, p->codes + place * p->stride, p->stride);
        if (p->layout == HNSW_BY_BLOCKS) pack_blocks(b, place);
    }
}

int hnsw_pack_save(const struct hnsw_build *b, struct index_writer *w, struct error *err)
{
    const struct hnsw_pack *p = &b->pack;
    size_t rows = b->row_count;

    if (quantizer_write_section(w, b->desc.alloc, p->kind, p->quantizer, err) != 0 ||
        index_write_section(w, INDEX_SECTION_CODES, 1, p->stride, p->codes, rows * p->stride,
                            err) != 0)
        return -1;
    if (p->layout != HNSW_BY_BLOCKS) return 0;
    return index_write_section(w, INDEX_SECTION_BLOCKS, 1, p->block_bytes, p->blocks,
                               rows * p->block_count * p->block_bytes, err);
}
