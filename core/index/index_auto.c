/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_auto.h"

#include <math.h>

#include "base/limits.h"
#include "index/index_mode.h"

/* From the fastest to the smallest; the first that there is and that fits is taken. */
static const struct {
    const char *kind, *quantizer; /* "": none */
} choices[] = {
    {"hnsw", ""}, {"hnsw", "SQ8"}, {"hnsw", "RABITQ4"}, {"hnsw", "RABITQ"}, {"diskann", ""}};

enum { CHOICE_COUNT = sizeof choices / sizeof *choices };
enum { SCANNED_QUICKLY = 0, SCANNED_FOR_ROOM = CHOICE_COUNT + 1 }; /* beside places from 1 */

static double row_bytes(const struct index_auto_desc *desc, const struct index_plan *plan)
{
    const struct index_vtab *kind = index_find(plan->kind);
    double bytes = kind->row_bytes(&plan->params, desc->metric, plan->quantizer, desc->dim);

    if (index_reads_as_kept(kind, desc->metric, desc->storage)) return bytes;
    return bytes + (desc->dim + 1.0) * sizeof(float);
}

/* What memory a row has; half of the root's is for others. */
static double room(const struct index_auto_desc *desc, double rows)
{
    return desc->memory_bytes > 0 ? (double)desc->memory_bytes / 2 / rows : INFINITY;
}

/* A kind whose memory is a parameter takes what there is for twice as many rows: it need not be
 * built anew with every row. */
static void bound_memory(const struct index_auto_desc *desc, double rows, struct index_plan *plan)
{
    const struct index_vtab *kind = index_find(plan->kind);
    const struct slice name = slice_of_text("memory");
    double most = row_bytes(desc, plan), share = room(desc, 2 * rows);

    if (share >= most || index_params_set(kind, &plan->params, name, 1, NULL) != 0) return;
    double least = ceil(row_bytes(desc, plan));
    share = floor(share);
    (void)index_params_set(kind, &plan->params, name, share > least ? share : least, NULL);
}

/* Number i of the choices; false: there is none such here, or not for these vectors. */
static bool plan_of(size_t i, const struct index_auto_desc *desc, struct index_plan *out)
{
    struct index_mode mode = {.kind = index_find_name(choices[i].kind, strlen(choices[i].kind)),
                              .metric = desc->metric};
    const struct index_vtab *kind;

    if (*choices[i].quantizer &&
        !quantizer_find_word(slice_of_text(choices[i].quantizer), &mode.quantizer))
        return false;
    if (!index_mode_makes_sense(&mode)) return false;
    kind = index_find(mode.kind);
    if (!kind->row_bytes || desc->dim > index_dim_max(kind, mode.quantizer.kind)) return false;
    if (kind->file_sections && desc->storage != STORAGE_F32) return false;
    *out = (struct index_plan){.kind = mode.kind, .quantizer = mode.quantizer, .is_auto = true};
    index_params_init(kind, &out->params);
    return true;
}

/* The place among the choices of what suits so many rows, from 1.  What fits into all of the
 * memory alone is taken where nothing else does, the smallest; what does not is never loaded. */
static size_t choose(const struct index_auto_desc *desc, double rows, struct index_plan *out)
{
    const struct index_plan flat = {.kind = INDEX_FLAT, .is_auto = true};
    size_t chosen = SCANNED_FOR_ROOM;
    struct index_plan plan;

    *out = flat;
    if (!INDEX_HAS_BUILT || rows * desc->dim * sizeof(float) <= AUTO_SCANNED_BYTES)
        return SCANNED_QUICKLY;
    for (size_t i = 0; i < CHOICE_COUNT; i++) {
        if (!plan_of(i, desc, &plan)) continue;
        bound_memory(desc, rows, &plan);
        double bytes = row_bytes(desc, &plan);
        if (bytes > 2 * room(desc, rows)) continue;
        *out = plan;
        chosen = i + 1;
        if (bytes <= room(desc, rows)) break;
    }
    return chosen;
}

void index_auto_choose(const struct index_auto_desc *desc, struct index_plan *out)
{
    choose(desc, (double)desc->row_count, out);
}

/* Was less memory left to it than it was built for, and would it take less now? */
static bool is_too_large(const struct index_auto_desc *desc, const struct index_plan *chosen,
                         const struct index_plan *now)
{
    double bytes = row_bytes(desc, chosen);
    return bytes > room(desc, (double)desc->row_count) && bytes > row_bytes(desc, now);
}

bool index_auto_changes(const struct index_auto_desc *desc, const struct index_plan *chosen,
                        struct index_plan *out)
{
    struct index_plan plan, later;
    size_t now = choose(desc, (double)desc->row_count, out);
    size_t then = choose(desc, 2 * (double)desc->row_count, &later);

    if (chosen->kind == INDEX_FLAT) return now != SCANNED_QUICKLY && then != SCANNED_FOR_ROOM;
    for (size_t i = 0; INDEX_HAS_BUILT && i < CHOICE_COUNT; i++) {
        if (!plan_of(i, desc, &plan) || plan.kind != chosen->kind ||
            plan.quantizer.kind != chosen->quantizer.kind ||
            plan.quantizer.number != chosen->quantizer.number)
            continue;
        return i + 1 < now || i + 1 > then || (i + 1 == now && is_too_large(desc, chosen, out));
    }
    return true;
}
