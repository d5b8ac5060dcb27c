/* SPDX-License-Identifier: Apache-2.0 */
/* flat_codes.h — what a flat index has where it is built with a quantizer: codes of all rows in
 * blocks, and an oracle that says out of them which rows are worth measuring. */
#ifndef INDEX_FLAT_CODES_H
#define INDEX_FLAT_CODES_H

#include "index/index_build.h"

/* As index.h and index_build.h have them. */
extern const struct index_build_ops flat_codes_build_ops;
bool flat_codes_takes(const struct metric_info *metric, enum quantizer_kind quantizer);
int flat_codes_open(const struct index_open_desc *desc, struct index **out, struct error *err);
void flat_codes_close(struct index *index);
size_t flat_codes_oracle_bytes(const struct index *index, uint32_t dim);
struct oracle *flat_codes_oracle_init(const struct index *index, void *memory,
                                      const struct oracle_desc *desc);

#endif
