/* SPDX-License-Identifier: Apache-2.0 */
/* images.h — which of the images that a crash could leave are looked at. */
#ifndef CRASHLAB_IMAGES_H
#define CRASHLAB_IMAGES_H

#include "base/rng.h"
#include "crashlab/disk.h"

enum { IMAGES_MAX = 256, IMAGE_TEXT_BYTES = 200 };

struct images {
    struct image list[IMAGES_MAX];
    size_t count;
};

/* All kept, none kept, each prefix, each but one, each alone, torn and garbled forms of the last
 * write and of one other, random subsets, and subsets as ext4 would leave them (renames whole,
 * names of a directory in order); when these are more than `most`, the first two, those around the
 * last operation, and others by chance.  No image stands twice. */
void images_make(struct images *out, const struct disk *d, size_t most, struct rng *rng);

bool image_is_all(const struct image *m, size_t pending_count);
uint64_t image_hash(const struct image *m);
/* "0x1f" or "0x1f,torn,3,2": mask, and tear, victim, detail. */
void image_format(const struct image *m, char out[IMAGE_TEXT_BYTES]);
bool image_parse(const char *text, struct image *out);

#endif
