/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_auto.h"

#include "base/limits.h"

/* From the fastest to the smallest; the first that there is and that fits is taken. */
static const struct {
    const char *kind, *quantizer; /* "": none */
} choices[] = {
    {"hnsw", ""}, {"hnsw", "SQ8"}, {"hnsw", "RABITQ4"}, {"hnsw", "RABITQ"}, {"diskann", ""}};

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
    if (desc->dim > index_dim_max(kind, out->quantizer.kind)) return false;
    return !kind->file_sections || desc->storage == STORAGE_F32;
}

/* With standard parameters; 0: none worth counting, as where it keeps to its file. */
static double row_bytes(const struct index_mode *mode, uint32_t dim)
{
    const struct index_vtab *kind = index_find(mode->kind);
    struct index_params params;

    if (!kind->row_bytes) return 0;
    index_params_init(kind, &params);
    return kind->row_bytes(&params, mode->metric, mode->quantizer, dim);
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
        if (!mode_of(i, desc, &mode)) continue;
        double bytes = rows * row_bytes(&mode, desc->dim);
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
