/* SPDX-License-Identifier: Apache-2.0 */
/* index_image.h — an index as bytes: numbered sections, as a file of a segment keeps them.
 *
 * An index writes itself through an index_writer and is opened from an index_image.  Who has the
 * file implements both and sees to checksums: bytes that an image hands out are those that were
 * written, or the reading fails.  They may still be nonsense, of a file that was made to hurt.
 */
#ifndef INDEX_INDEX_IMAGE_H
#define INDEX_INDEX_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct vfs_file;

/* Numbers of sections are the kind's own, from INDEX_SECTION_FIRST; they are in files
 * (docs/FORMAT.md) and never used for anything else.  At most INDEX_SECTIONS_MAX in an index.
 * Some mean the same in an index of any kind:
 *     QUANTIZER  a trained quantizer (quantizer_image.h); its number is the quantizer's
 *     CODES      codes of all rows, one after another; its number is their stride
 *     BLOCKS     blocks of 32 codes (quantizer.h); its number is the bytes of one
 *     PAGES      pages that are read one by one, past the page cache: in a file it begins at a
 *                multiple of 4,096 */
enum { INDEX_SECTION_FIRST = 64, INDEX_SECTION_LAST = 127, INDEX_SECTIONS_MAX = 12 };
enum { INDEX_SECTION_QUANTIZER = 96, INDEX_SECTION_CODES = 97, INDEX_SECTION_BLOCKS = 98 };
enum { INDEX_SECTION_PAGES = 92 };

struct index_section {
    uint32_t kind;
    uint32_t element_bytes;
    uint64_t number; /* the writer's own */
    uint64_t bytes;
    const void *data; /* aligned to 64; all of it in memory, verified; NULL where it stays in the
                         file, which read_at reads */
};

struct index_image {
    const struct index_section *sections;
    size_t section_count;
    /* Bytes of a section that stays in the file, verified, into `out`.  Any thread. */
    int (*read_at)(const struct index_image *image, const struct index_section *section,
                   uint64_t offset, size_t bytes, void *out, struct error *err);
    /* The file itself, for who keeps many reads of such a section in flight (os/read_queue.h): it
     * begins at *out_offset.  What is read so nobody has verified.  The caller closes the file.
     * NULL: there is none.  One at a time. */
    int (*open_file)(const struct index_image *image, const struct index_section *section,
                     struct vfs_file **out, uint64_t *out_offset, struct error *err);
};

/* NULL when there is none of this number. */
const struct index_section *index_image_find(const struct index_image *image, uint32_t kind);
/* The same, which must have `bytes` bytes of elements of element_bytes, and be in memory: CORRUPT
 * otherwise. */
int index_image_require(const struct index_image *image, uint32_t kind, uint32_t element_bytes,
                        uint64_t bytes, const void **out, struct error *err);

/* Sections follow one another; each is begun, gets bytes in any number of pieces, and is ended.
 * After an error nothing more is written. */
struct index_writer {
    int (*begin)(struct index_writer *w, uint32_t kind, uint32_t element_bytes, uint64_t number,
                 struct error *err);
    int (*write)(struct index_writer *w, const void *data, size_t bytes, struct error *err);
    int (*end)(struct index_writer *w, struct error *err);
};

/* A section whose bytes are all there. */
int index_write_section(struct index_writer *w, uint32_t kind, uint32_t element_bytes,
                        uint64_t number, const void *data, size_t bytes, struct error *err);

#endif
