/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — every limit, with its reason.  A value over one is answered with the field, the value
 * and the limit; nothing is clamped in silence.
 *
 * LYNSE_TINY shrinks what files and buffers hold, so that a test of two hundred operations
 * crosses every edge that a year of use would; user-visible limits stay as they are.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Sizes are computed in size_t from counts that these limits bound: a group, its copies and its
 * index stay far below 2^64, and would not below 2^32.  Files are mapped whole besides. */
_Static_assert(sizeof(size_t) == 8, "Lynse needs a 64-bit target (docs/EMBEDDING.md, Linking)");

enum {
    LIMIT_NAME_BYTES = 128,     /* database, collection: LynseDB's limit */
    LIMIT_ID_BYTES = 255,       /* string id: its length fits a byte */
    LIMIT_DIM = 32768,          /* hard maximum of a vector's dimension */
    LIMIT_BATCH_ROWS = 100000,  /* rows of one group */
    LIMIT_K = 100000,           /* k of a search, max_results of a range search */
    LIMIT_QUERIES = 10000,      /* vectors of one batch search */
    LIMIT_DOC_BYTES = 1 << 20,  /* one record's fields, as msgpack */
    LIMIT_DOC_DEPTH = 32,       /* nesting of one record's fields */
    LIMIT_DOC_KEYS = 4096,      /* keys of one map */
    LIMIT_COLLECTIONS = 100000, /* of one root */
    LIMIT_SEGMENTS = 4096,      /* of one collection, named by one manifest */
    LIMIT_DESCRIPTION_BYTES = 4096,
    LIMIT_EFFORT = 1 << 20,  /* candidates or clusters of a search: what an index keeps of it */
    LIMIT_OVERSAMPLE = 1000, /* of k, what codes nominate */
    LIMIT_INDEX_PARAMS = 64, /* that a call names; an index has fewer */
    LIMIT_WHERE_BYTES = 64 << 10, /* one expression's text */
    LIMIT_WHERE_DEPTH = 128,      /* parentheses within parentheses: the parser's stack */
    LIMIT_WHERE_NODES = 4096,     /* comparisons and what joins them: work for each row */
    LIMIT_WHERE_PATHS = 256,      /* fields of one expression: a column each */
    LIMIT_WHERE_ITEMS = 10000,    /* values of one IN */
    LIMIT_WHERE_WILD_BYTES = 64,  /* of a LIKE, between two %, where a _ is among them */
};
#define LIMIT_GROUP_BYTES (256ull << 20) /* one group in the log; a body of the wire */
#define LIMIT_RERANK_BYTES (64ull << 20) /* fields that the rerank of one query is given at once */
#define LIMIT_INT_ID (UINT64_MAX - 1)    /* an auto id must have room above it */

enum { /* of the wire; options may set less */
       LIMIT_URI_BYTES = 16 << 10,
       LIMIT_HEADER_BYTES = 64 << 10, /* all headers of a request: kept until it is answered */
       LIMIT_HEADERS = 256,           /* each is looked through for each name */
       LIMIT_QUERY_PAIRS = 64,        /* key=value of one URI: each is compared with each */
       LIMIT_KEY_BYTES = 512,         /* an API key, with its user's name before it */
       LIMIT_METHOD_BYTES = 128,      /* an RPC method's name: quoted in errors and logs */
};
#define LIMIT_BODY_BYTES (1ull << 30)     /* a request's body or frame */
#define LIMIT_REQUEST_NODES (64ull << 20) /* msgpack values of one request */

#ifdef LYNSE_TINY
enum {
    LIMIT_REQUESTS = 12,        /* ids of requests that a collection remembers */
    SEAL_ROWS = 16,             /* a tail is frozen at this many rows */
    SEAL_BYTES = 1 << 16,       /* or at this many bytes of vectors */
    SMALL_SEGMENT_ROWS = 4,     /* a last segment below this is rewritten with the tail */
    TAIL_CHUNK_ROWS = 4,        /* rows per allocation of the tail */
    WAL_FIRST_BYTES = 20 << 10, /* headers, 4 KiB of records, room for marks */
    WAL_MAX_BYTES = 28 << 10,
    LOG_BULK_BYTES = 192, /* vectors of a group that the log writes from where they are */
    DOC_BLOCK_BYTES = 256,
    TOMBSTONE_CHUNK_BYTES = 8, /* copied on write */
    CHECKSUM_BLOCK_BYTES = 512,
    CLOSE_FLUSH_BYTES = 16 << 10, /* close() flushes when more log than this would be replayed */
    SEARCH_SPLIT_ROWS = 8,        /* a larger scan is split over the search pool */
    DISK_PAGE_BYTES = 4 << 10,    /* of a graph on the disk */
    MERGE_ROWS_MAX = 1 << 10,     /* of a merged segment */
    INDEXED_MERGE_ROWS_MAX = 512, /* of one that gets its index before it is shown */
    BUILD_STEP_ROWS = 4,          /* one step of a segment's build: a small part of a frame */
    BUILD_STEP_BYTES = 512,
    INDEX_ROWS_MIN = 4, /* of a segment, to be indexed */
    AUTO_SCANNED_BYTES = 1 << 10,
    INDEX_TAIL_ROWS = 16,
    QUIET_TAIL_ROWS = 8,
    UNINDEXED_ROWS_MAX = 64,
    RECALL_ROWS_MIN = 8,
    RECALL_EVERY = 4,
    SCANNED_ROWS = 2,
    SCANNED_ROWS_OF_K = 1,
    SCANNED_ROW_NS = 20000,            /* so graphs of some hundred rows are walked */
    RESERVE_BYTES = 48 << 10,          /* kept on the disk for deleting, flushing and closing */
    RESERVE_FROM_BYTES = 4 << 10,      /* a root that holds less needs none */
    COLUMN_BLOCK_BYTES_MAX = 64 << 10, /* of 1024 values of a field: a larger block is not kept */
    COLUMN_CACHE_BYTES = 256 << 10,
    SHADOW_ROWS_MIN = 4,          /* a part of a view with fewer rows has no shadow */
    SHADOW_DIM_MIN = 1,           /* nor have shorter vectors */
    SHADOW_BLOCK_BYTES = 1 << 10, /* of codes */
    SHADOW_FIRST_ROWS = 4,        /* of the first block */
    SHADOW_FILL_BYTES = 2 << 10,  /* of vectors that a search packs between two blocks */
};
#else
enum {
    LIMIT_REQUESTS = 65536,
    SEAL_ROWS = 131072,
    SEAL_BYTES = 64 << 20,
    MERGE_ROWS_MAX = 64 << 20,
    INDEXED_MERGE_ROWS_MAX = 16 << 20, /* hours of building; a few such indexes cost little */
    SMALL_SEGMENT_ROWS = 16384,
    TAIL_CHUNK_ROWS = 4096,
    WAL_FIRST_BYTES = 32 << 10,
    WAL_MAX_BYTES = 16 << 20,
    LOG_BULK_BYTES = 1 << 20,
    DOC_BLOCK_BYTES = 16 << 10,
    TOMBSTONE_CHUNK_BYTES = 4096,
    CHECKSUM_BLOCK_BYTES = 64 << 10,
    CLOSE_FLUSH_BYTES = 4 << 20,
    SEARCH_SPLIT_ROWS = 65536,
    DISK_PAGE_BYTES = 16 << 10, /* read as fast as 4 KiB (measured) */
    BUILD_STEP_ROWS = 1024,
    BUILD_STEP_BYTES = 256 << 10,
    RESERVE_BYTES = 16 << 20,
    RESERVE_FROM_BYTES = 64 << 20,
    COLUMN_BLOCK_BYTES_MAX = 1 << 20,
    COLUMN_CACHE_BYTES = 128 << 20,
    INDEX_ROWS_MIN = 1024, /* fewer rows of a segment are as fast looked at one by one */
    /* Vectors of a collection that AUTO has scanned: a full segment, by its shadow 0.5 ms. */
    AUTO_SCANNED_BYTES = 64 << 20,
    /* That searches have to look at because their index is not built yet: what comes faster than
     * it can be built is slowed (engine/index_pace.h).  A tail is frozen at so many where there is
     * an index: with the rows of one more call it is below that. */
    UNINDEXED_ROWS_MAX = 131072,
    INDEX_TAIL_ROWS = 28 << 10,
    QUIET_TAIL_ROWS = 4096, /* of a tail that is sealed where nobody writes: 0.2 ms of a search */
    RECALL_ROWS_MIN = 8192, /* of indexes, for searches to be measured: fewer are nearly scanned */
    RECALL_EVERY = 64,      /* one search in so many is made again to measure recall */
    /* So are as many of an indexed one as a filter leaves, and so many for each wanted result. */
    SCANNED_ROWS = 2048,
    SCANNED_ROWS_OF_K = 8,
    SCANNED_ROW_NS = 10, /* of a row here and there, but for its bytes */
    SHADOW_ROWS_MIN = 256,
    SHADOW_DIM_MIN = 64,          /* codes fill lines of so many */
    SHADOW_BLOCK_BYTES = 8 << 20, /* nearly all of it huge pages */
    SHADOW_FIRST_ROWS = 256,
    SHADOW_FILL_BYTES = 512 << 10,
};
#endif

enum {
    SYNC_BATCH_BYTES = 4 << 20, /* a sync batch is closed here; one group at least */
    MAILBOX_MESSAGES = 1024,    /* a fuller mailbox answers BUSY */
    DOC_CACHE_BYTES = 32 << 20,
    ALIGN_VECTOR = 64, /* a cache line, and one AVX-512 register */
};
#define SHADOW_SEARCH_BYTES (8u << 20)     /* of vectors of a segment that one search packs */
#define REQUEST_WINDOW_US 600000000ll      /* and for so long: a write's longest time-out */
#define LIMIT_LOW_WATER_BYTES (1ull << 50) /* more is a number that was not meant */
#define MAILBOX_BYTES (64ull << 20)
#define UNSYNCED_BYTES_MAX (64ull << 20) /* inline mode without syncs (R4b) */

#endif
