/* SPDX-License-Identifier: Apache-2.0 */
/* train_whole.h — a quantizer, trained to the end on this thread, its pieces backwards: none may
 * need another. */
#ifndef SUPPORT_TRAIN_WHOLE_H
#define SUPPORT_TRAIN_WHOLE_H

#include "quant/quantizer.h"

static inline int train_whole(const struct quantizer_vtab *v,
                              const struct quantizer_train_desc *desc, struct quantizer **out,
                              struct error *err)
{
    int rc = v->train(desc, out, err);

    if (rc != 0) return rc;
    uint32_t left = quantizer_train_pieces(*out);
    if (left == 0) return 0;
    while (rc == 0 && left > 0) rc = v->train_piece(*out, --left, err);
    if (rc == 0) {
        v->train_end(*out);
    } else {
        v->destroy(*out);
        *out = NULL;
    }
    return rc;
}

#endif
