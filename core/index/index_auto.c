/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_auto.h"

enum {
    SCANNED_BYTES = 64 << 20, /* of vectors: a full segment, which a shadow scans in 0.5 ms */
    ROW_BYTES = 192,          /* of a graph's node besides the vector: neighbours, norm, levels */
};

/* From the fastest to the smallest; the first that there is and that fits is taken. */
static const struct {
    const char *kind, *quantizer; /* "": none */
    double component_bytes;       /* in memory, for each component of a vector */
} choices[] = {
    {"hnsw", "", 4},           {"hnsw", "SQ8", 1},     {"hnsw", "RABITQ4", 0.5},
    {"hnsw", "RABITQ", 0.125}, {"diskann", "", 0.125},
};

void index_auto_choose(const struct index_auto_desc *desc, struct index_mode *out)
{
    double rows = (double)desc->row_count;

    *out = (struct index_mode){.kind = INDEX_FLAT, .metric = desc->metric};
    if (rows * desc->dim * sizeof(float) <= SCANNED_BYTES) return;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct index_mode mode = {.metric = desc->metric};
        double bytes = rows * (desc->dim * choices[i].component_bytes + ROW_BYTES);
        mode.kind = index_find_name(choices[i].kind, strlen(choices[i].kind));
        if (*choices[i].quantizer &&
            !quantizer_find_word(slice_of_text(choices[i].quantizer), &mode.quantizer))
            continue;
        if (!index_mode_makes_sense(&mode)) continue;
        if (desc->memory_bytes > 0 && bytes > (double)desc->memory_bytes / 2 &&
            mode.kind != index_find_name("diskann", 7))
            continue;
        *out = mode;
        return;
    }
}
