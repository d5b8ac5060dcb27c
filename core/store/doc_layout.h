/* SPDX-License-Identifier: Apache-2.0 */
/* doc_layout.h — numbers of the documents part (FORMAT.md 7); for doc_writer.c and doc_file.c. */
#ifndef STORE_DOC_LAYOUT_H
#define STORE_DOC_LAYOUT_H

#include "base/limits.h"

/* An entry of BLOCK_INDEX. */
enum doc_index_offset {
    DOC_INDEX_AT_OFFSET = 0,     /* u64 in BLOCKS */
    DOC_INDEX_AT_BYTES = 8,      /* u32 framed; 0 in the last entry */
    DOC_INDEX_AT_FIRST_ROW = 12, /* u32 */
    DOC_INDEX_ENTRY_BYTES = 16,
};

/* A decoded block: u32 count, (count + 1) x u32 ends, documents. */
enum {
    DOC_BLOCK_TABLE = 4,
    DOC_BLOCK_RAW_MAX = LIMIT_DOC_BYTES + DOC_BLOCK_BYTES + 12, /* one document at its limit */
};

#endif
