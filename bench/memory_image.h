/* SPDX-License-Identifier: Apache-2.0 */
/* memory_image.h — an index as sections in memory, for programs that have no segment for it, and
 * as a file, so that what took minutes is built once.
 *
 * The file is for this machine and one build alone: its name says which.  It has no checksums and
 * is not the format of docs/FORMAT.md.  Where memory or a file fails, the program ends and says why
 * on stderr.
 */
#ifndef BENCH_MEMORY_IMAGE_H
#define BENCH_MEMORY_IMAGE_H

#include <stdbool.h>

#include "index/index_image.h"

struct memory_image {
    struct index_image image; /* first */
    struct index_writer writer;
    struct index_section sections[INDEX_SECTIONS_MAX];
    size_t room; /* of the section at work, bytes */
};

/* Empty, to be written through m->writer.  Nothing frees it: it lives as long as the program. */
void memory_image_init(struct memory_image *m);
/* Bytes of all sections. */
size_t memory_image_bytes(const struct memory_image *m);

/* With what the building took, `seconds` of the clock and of all processors. */
void memory_image_save(const struct memory_image *m, const char *path, const double seconds[2]);
/* Into an empty one; false: there is no such file. */
bool memory_image_load(struct memory_image *m, const char *path, double seconds[2]);

#endif
