/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_auto.h"

#include "base/limits.h"

enum { ROW_BYTES = 192 }; /* of a graph's node besides the vector: neighbours, norm, levels */

/* From the fastest to the smallest; the first that there is and that fits is taken. */
static const struct {
    const char *kind, *quantizer; /* "": none */
    double component_bytes;       /* in memory, for each component of a vector */
} choices[] = {
    {"hnsw", "", 4},           {"hnsw", "SQ8", 1},     {"hnsw", "RABITQ4", 0.5},
    {"hnsw", "RABITQ", 0.125}, {"diskann", "", 0.125},
};

enum { CHOICE_COUNT = sizeof choices / sizeof *choices };

/* Number i of the choices; false: there is none such here, or not for these vectors. */
static bool mode_of(size_t i, const struct index_auto_desc *desc, struct index_mode *out)
{
    const struct index_vtab *kind;

    *out = (struct index_mode){.kind = index_find_name(choices[i].kind, strlen(choices[i].kind)),
                               .metric = desc->metric};
    if (*choices[i].quantizer &&
        !quantizer_find_word(slice_of_text(choices[i].quantizer), &out->quantizer))
        return false;
    if (!index_mode_makes_sense(out)) return false;
    kind = index_find(out->kind);
    return !kind->file_sections || desc->storage == STORAGE_F32;
}

/* The place among the choices of what suits so many rows, from 1; 0: they are scanned.  Where
 * nothing fits it is the smallest that there is. */
static size_t choose(const struct index_auto_desc *desc, double rows, struct index_mode *out)
{
    struct index_mode mode;
    size_t chosen = 0;

    *out = (struct index_mode){.kind = INDEX_FLAT, .metric = desc->metric};
    if (rows * desc->dim * sizeof(float) <= AUTO_SCANNED_BYTES) return 0;
    for (size_t i = 0; i < CHOICE_COUNT; i++) {
        double bytes = rows * (desc->dim * choices[i].component_bytes + ROW_BYTES);
        if (!mode_of(i, desc, &mode)) continue;
        *out = mode;
        chosen = i + 1;
        if (desc->memory_bytes == 0 || bytes <= (double)desc->memory_bytes / 2) break;
    }
    return chosen;
}

void index_auto_choose(const struct index_auto_desc *desc, struct index_mode *out)
{
    choose(desc, (double)desc->row_count, out);
}

bool index_auto_changes(const struct index_auto_desc *desc, const struct index_mode *chosen,
                        struct index_mode *out)
{
    struct index_mode mode, later;
    size_t now = choose(desc, (double)desc->row_count, out);
    size_t then = choose(desc, 2 * (double)desc->row_count, &later);

    if (chosen->kind == INDEX_FLAT) return now > 0;
    for (size_t i = 0; i < CHOICE_COUNT; i++)
        if (mode_of(i, desc, &mode) && mode.kind == chosen->kind &&
            mode.quantizer.kind == chosen->quantizer.kind &&
            mode.quantizer.number == chosen->quantizer.number)
            return i + 1 < now || i + 1 > then;
    return true;
}
