/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — what an index kind is: a way to find the rows of one segment that are near a query.
 *
 * LIFE     A kind that needs building is built over the rows of a sealed segment (index_build.h),
 *          written as sections of one file, and opened from them (index_image.h): an opened index
 *          never changes, any thread may search it, and what it says of a row says nothing of
 *          whether the row is still wanted: that is the gate's business.  A kind that needs none
 *          (flat) has no file and no struct index: its `index` pointers are NULL.
 * SEARCH   Over one segment it is an object in its user's memory: begin, then advance until it is
 *          done; what was found is then in the lists of the queries.  It allocates nothing and
 *          knows no clock: an advance is bounded by distances, and its user looks at clock,
 *          deadline and cancel flag between two of them.  The user may drop a search at any time.
 * SCORES   A row is pushed with its exact distance, that of `exact`, whatever the index walked by:
 *          lists of several segments are merged, and a score is the same bits everywhere (P7).
 * THREADS  A search, one thread at a time; an index, any.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/topk.h"
#include "index/index_kinds.h"
#include "index/index_params.h"
#include "quant/oracle.h"
#include "quant/quantizer.h"

struct index_image;
struct index_build_ops;

/* Which rows may not be returned.  An index does not know why. */
struct index_gate {
    /* 64 rows from row, a multiple of 64: bit i set = row + i is shut.  Bits of rows that the
     * segment does not have may be anything.  NULL: all rows are open. */
    uint64_t (*shut_word)(void *ctx, uint32_t row);
    void *ctx;
    /* Many rows may be shut: look before the distances are computed, not after.  Flat asks for
     * words in ascending order then, those of a block a few times; other kinds in any order. */
    bool comes_first;
    uint32_t open_count; /* rows that are open, counted; 0: nobody has */
    /* NULL, or what shut_word says at one place, a bit for each row of the segment, set where the
     * row is open; the others of the last word are 0. */
    const uint64_t *open_bits;
};
/* The open ones of 64 rows from row, a multiple of 64; there is a gate. */
static inline uint64_t index_gate_open(const struct index_gate *gate, uint32_t row)
{
    return gate->open_bits ? gate->open_bits[row / 64] : ~gate->shut_word(gate->ctx, row);
}

struct index_query {
    struct oracle *oracle; /* what the index walks by: flat: of the segment's rows; others: what
                              their oracle_init made */
    struct oracle *exact;  /* of the segment's rows; may be the same object */
    struct topk *best;     /* found rows are pushed; those of other segments may be there already */
    float distance_max;    /* farther rows are not found; +inf: none is too far */
};

struct index_search_desc {
    const struct index *index;         /* NULL: the kind has none */
    const struct index_query *queries; /* borrowed until the search is done */
    size_t query_count;                /* 1 at least */
    struct index_gate gate;
    struct index_options options;
    uint32_t part;               /* what candidates name as their part */
    uint32_t row_first, row_end; /* rows in question; row_first <= row_end; kinds that have an
                                    index are asked for all of its rows */
};

enum index_state {
    INDEX_MORE,
    INDEX_DONE,
    INDEX_FAILED,
    INDEX_DAMAGED, /* what it keeps in its file cannot be read, or is not what was written: the rows
                      are to be searched without it */
};

/* What every opened index begins with; a kind's own struct has it first. */
struct index {
    const struct index_vtab *kind;
    uint32_t row_count;
    size_t memory_bytes; /* that it holds besides its image */
};

struct index_open_desc {
    struct alloc *alloc;
    const struct simd_kernels *kernels;
    const struct index_image *image; /* outlives the index */
    const struct index_params *params;
    enum metric metric;
    uint32_t dim, row_count;
};

struct index_vtab {
    const char *name; /* as the user writes it, lower case, without '-' */
    /* What may be said when it is built, in the order of the manifest; new ones at the end. */
    const struct index_param *params;
    size_t param_count; /* INDEX_PARAMS_MAX at most */
    /* Which parameter index_options.effort stands for where none is given; -1: there is none. */
    int effort_param;
    /* Does it make sense?  NULL: with every metric, and with raw vectors alone. */
    bool (*takes)(const struct metric_info *metric, enum quantizer_kind quantizer);
    /* NULL: the kind needs none, nor the next five.  is_of_codes: with raw vectors neither, and
     * then its index pointers are NULL. */
    const struct index_build_ops *build;
    bool is_of_codes;
    /* Sections that stay in the file: bit i is section INDEX_SECTION_FIRST + i.  With any, the
     * vectors stay there too: vector_source.all is not set for the kind. */
    uint64_t file_sections;
    uint32_t dim_max; /* of vectors that it takes, whatever the quantizer; 0: any */
    /* Where the metric counts bits (bit_rows.h) and rows are kept so, the sources of vectors that
     * it is built over, searched with and checked against are of bits: it never asks for floats. */
    bool takes_bits;
    /* CORRUPT where a number in the image leads out of it: what was opened cannot make a search
     * read astray, whatever the bytes were. */
    int (*open)(const struct index_open_desc *desc, struct index **out, struct error *err);
    void (*close)(struct index *index);
    /* The oracle that it walks by, in `memory` of so many bytes, aligned to ALIGN_VECTOR.  desc:
     * as for the segment's own. */
    size_t (*oracle_bytes)(const struct index *index, uint32_t dim);
    struct oracle *(*oracle_init)(const struct index *index, void *memory,
                                  const struct oracle_desc *desc);

    /* Queries that are best searched for at once, one search object after another: of more the
     * oracles would have left the first caches before their turn comes.  0: as many as there are
     * room for, since they share what is read. */
    uint32_t query_group;
    /* Of a search object for so many queries of k results; its memory is aligned to ALIGN_VECTOR
     * and not zeroed. */
    size_t (*search_bytes)(const struct index *index, const struct index_options *options, size_t k,
                           size_t query_count);
    void (*begin)(void *search, const struct index_search_desc *desc);
    /* Go on for about distance_max distances, one block or step at least.  FAILED: err says what
     * the oracle said.  DAMAGED: err says what of the file; rows that were pushed are none the
     * worse.  The search can only be dropped after either, and nothing of it is under way. */
    enum index_state (*advance)(void *search, uint64_t distance_max, struct error *err);
    /* Everything that must hold of an index and the rows that it was built over, to the last
     * number: reachable rows, degrees, lists.  CORRUPT says which and where.  NULL: nothing. */
    int (*check)(const struct index *index, const struct vector_source *vectors, struct error *err);
    /* What of parameters that are each in range does not go together: a sentence with their names
     * and values, into `why`; false: nothing.  NULL: everything goes together. */
    bool (*contradicts)(const struct index_params *params, char *why, size_t why_bytes);
    /* Memory that it will take for each row, about, the segment's own vectors and copies of them
     * apart (index_reads_as_kept); what the kind takes, built with these.  NULL: nobody counted,
     * and AUTO does not choose it. */
    double (*row_bytes)(const struct index_params *params, enum metric metric,
                        struct quantizer_spec quantizer, uint32_t dim);
};

#define INDEX_DECLARE(KIND, number, name) extern const struct index_vtab index_##name;
INDEX_KINDS(INDEX_DECLARE)
#undef INDEX_DECLARE

/* Is there anything to build, to keep and to open? */
static inline bool index_is_built(const struct index_vtab *kind, enum quantizer_kind quantizer)
{
    return kind->build && !(kind->is_of_codes && quantizer == QUANTIZER_RAW);
}

/* Does it read rows as they are kept in the segment?  Else they are copied as floats for it. */
bool index_reads_as_kept(const struct index_vtab *kind, enum metric metric, uint32_t storage);

/* The most components of a vector that kind and quantizer take; LIMIT_DIM where both take any. */
uint32_t index_dim_max(const struct index_vtab *kind, enum quantizer_kind quantizer);

/* By number; NULL for one that is none, as a damaged file may hold, and for INDEX_NONE. */
const struct index_vtab *index_find(unsigned kind);
/* The number of a name, ASCII case ignored, `length` bytes without NUL; INDEX_NONE when it is none.
 */
enum index_kind index_find_name(const char *name, size_t length);

#endif
