/* SPDX-License-Identifier: Apache-2.0 */
/* format.h — numbers of the file formats; docs/FORMAT.md has the tables. */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include <stdint.h>

enum {
    FORMAT_MAJOR = 1,
    FORMAT_MINOR = 2,
    FORMAT_WRITER = (0 << 24) | (1 << 16) | 0,
    FORMAT_MAGIC_BYTES = 8,
    FORMAT_HEADER_BYTES = 80, /* the part that all files share */

    TWIN_HEADER_BYTES = 112,
    TWIN_ALIGN = 4096,

    WAL_HEADER_BYTES = 256,
    WAL_SECOND_HEADER = 4096, /* offset of the second copy */
    WAL_RECORDS = 8192,       /* offset of the first record */
    WAL_MARK_ROOM = 8192,     /* at the end of every file: padding and marks only */
    WAL_RECORD_HEADER_BYTES = 32,
    WAL_BLOCK_BYTES = 4096, /* what media damage hits; a mark starts one (R3) */

    PART_HEADER_BYTES = 128,
    PART_ALIGN = 64,
    PART_PAGES_ALIGN = 4096, /* of SECTION_PAGES: reads past the page cache begin and end there */
    PART_FOOTER_BYTES = 64,
    PART_SECTION_BYTES = 32,
};

#define MAGIC_CATALOG "LynseCat"
#define MAGIC_MANIFEST "LynseMan"
#define MAGIC_WAL "LynseWal"
#define MAGIC_SEGMENT "LynseSeg"
#define MAGIC_END "LynseEnd"

/* Known feature bits of this build; a file has those that it uses. */
#define FEATURE_HOOKS 1u   /* read-only compatible: a manifest that keeps hooks (1.1) */
#define FEATURE_INDEXES 2u /* likewise: a manifest that keeps a plan of indexes (1.2) */
#define FEATURES_COMPATIBLE 0u
#define FEATURES_READ_ONLY_COMPATIBLE (FEATURE_HOOKS | FEATURE_INDEXES)
#define FEATURES_INCOMPATIBLE 0u

enum part_kind {
    PART_IDS = 1,
    PART_VECTORS = 2,
    PART_DOCUMENTS = 3,
    PART_DELETES = 4,
    PART_INDEX = 5, /* its sections are numbered by index/index_image.h */
};
enum section_kind {
    SECTION_ROW_IDS = 1,
    SECTION_ROW_KINDS = 2,
    SECTION_ROW_LSNS = 3,
    SECTION_TEXT = 4,
    SECTION_SORTED_INTS = 5,
    SECTION_SORTED_INT_ROWS = 6,
    SECTION_SORTED_TEXT_ROWS = 7,
    SECTION_BLOOM = 8,
    SECTION_VECTORS = 16,
    SECTION_NORMS = 17,
    SECTION_BLOCKS = 32,
    SECTION_BLOCK_INDEX = 33,
    SECTION_DEAD = 48,
    SECTION_PAGES = 92, /* of an index: INDEX_SECTION_PAGES */
};

static inline uint32_t part_section_align(uint32_t kind)
{
    return kind == SECTION_PAGES ? PART_PAGES_ALIGN : PART_ALIGN;
}

#endif
