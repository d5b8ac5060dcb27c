/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer_image.h — the quantizer of an index, whatever its kind: trained for a build, and as a
 * section of the image.
 */
#ifndef INDEX_QUANTIZER_IMAGE_H
#define INDEX_QUANTIZER_IMAGE_H

#include "index/index_build.h"

/* Can an index that keeps codes be built with it?  RAW: no.  blocks: does the index keep blocks? */
bool quantizer_suits_index(const struct metric_info *metric, enum quantizer_kind kind, bool blocks);

/* The quantizer that a build asks for, its training over the rows begun: what is left of that
 * (quantizer_train_pieces) is a phase of the build.  Who asks destroys it by its vtab. */
int quantizer_train_for(const struct index_build_desc *desc, struct quantizer **out,
                        struct error *err);

/* Writes section INDEX_SECTION_QUANTIZER. */
int quantizer_write_section(struct index_writer *w, struct alloc *a, enum quantizer_kind kind,
                            const struct quantizer *q, struct error *err);

/* Opens it; who asks destroys *out by its vtab.  CORRUPT: no section of an image that was written,
 * or another dimension. */
int quantizer_open_section(const struct index_open_desc *desc, bool blocks, struct quantizer **out,
                           struct error *err);

#endif
