/* SPDX-License-Identifier: Apache-2.0 */
#include "index/list_points.h"

#include <stddef.h>

int list_points(const struct vector_source *source, const uint32_t *rows, uint32_t first,
                uint32_t count, const float **out, struct error *err)
{
    size_t dim = source->dim;

    for (uint32_t i = 0; i < count;) {
        uint32_t row = rows ? rows[first + i] : first + i;
        struct vector_run run = {NULL, NULL, rows ? 1 : count - i};
        if (source->all) run.vectors = source->all + row * dim;
        else if (source->run(source, row, run.row_count, &run, err) != 0) return -1;
        for (uint32_t j = 0; j < run.row_count; j++) out[i + j] = run.vectors + j * dim;
        i += run.row_count;
    }
    return 0;
}
