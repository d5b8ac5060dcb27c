/* SPDX-License-Identifier: Apache-2.0 */
/* part_layout.h — offsets inside a segment part (FORMAT.md 7); for part_writer.c and part_file.c.
 */
#ifndef STORE_PART_LAYOUT_H
#define STORE_PART_LAYOUT_H

#include "store/format.h"

enum part_header_offset {
    PART_AT_KIND = 80,        /* u32 enum part_kind */
    PART_AT_FIELD = 84,       /* u32 */
    PART_AT_ROWS = 88,        /* u64 */
    PART_AT_BLOCK_BYTES = 96, /* u32: CHECKSUM_BLOCK_BYTES */
    PART_AT_RESERVED = 100,
    PART_AT_CRC = 124, /* u32 of all before it */
};
enum part_footer_offset {
    PART_END_AT_MAGIC = 0,
    PART_END_AT_SECTION_COUNT = 8, /* u32 */
    PART_END_AT_RESERVED = 12,     /* u32 */
    PART_END_AT_END = 16,          /* u64: where the last section's padding ends */
    PART_END_AT_FILE_BYTES = 24,   /* u64 */
    PART_END_AT_RESERVED_2 = 32,   /* 16 */
    PART_END_AT_HASH = 48,         /* u64 low, u64 high */
};
enum part_section_offset {
    PART_SECTION_AT_KIND = 0,          /* u32 enum section_kind */
    PART_SECTION_AT_ELEMENT_BYTES = 4, /* u32 */
    PART_SECTION_AT_OFFSET = 8,        /* u64 */
    PART_SECTION_AT_BYTES = 16,        /* u64 */
    PART_SECTION_AT_NUMBER = 24,       /* u64 */
};
enum { PART_SECTIONS_MAX = 16 };

#endif
