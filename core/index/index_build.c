/* SPDX-License-Identifier: Apache-2.0 */
#include "index/index_build.h"

int index_build_run_all(const struct index_build_ops *ops, struct index_build *b, struct error *err)
{
    uint32_t count;

    while ((count = ops->piece_count(b)) > 0) {
        for (uint32_t piece = 0; piece < count; piece++)
            if (ops->run(b, piece, err) != 0) return -1;
        if (ops->turn(b, err) != 0) return -1;
    }
    return 0;
}
