/* SPDX-License-Identifier: Apache-2.0 */
/* planted.h — off-by-ones in bounds checks, put there to see that the fuzz targets find them.
 *
 * PLANTED(X) is added to one side of a bound.  It is constant false unless the build defines
 * LYNSE_PLANTED, which only builds with a sanitizer can (CMakeLists.txt): no library holds one.
 * Process-wide (architecture D11); at most one is on, and it is set before the parsers run.
 */
#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H

#include <stdbool.h>

/* Sorted; `./dev fuzz --prove` reads this list.
 *        name                 fuzz target  what is wrong while it is on */
#define PLANTED_DEFECTS(_)                                                                         \
    _(CATALOG_NAME_BYTES, "catalog", "a name may be a byte longer than its place")                 \
    _(DISKANN_LINK_END, "diskann", "a link may lead to a node behind the last one")                \
    _(DISKANN_NARROW_PAGES, "diskann", "narrow vectors may have a page less than they need")       \
    _(FILTER_QUOTE_END, "filter", "a quoted text may end a byte behind the expression")            \
    _(FLAT_LAST_BLOCK, "flat", "there may be a block of codes less than rows need")                \
    _(HNSW_LINK_END, "hnsw", "a link may lead to a node behind the last one")                      \
    _(HTTP_BODY_END, "http", "a piece of a body may end a byte behind what was fed")               \
    _(IVF_ROW_END, "ivf", "a place may have a row behind the last one")                            \
    _(JSON_ESCAPE_END, "json", "an escape may end a byte behind the text")                         \
    _(LUA_PATTERN_CAPTURES, "lua", "a pattern may have a capture more than its places")            \
    _(MANIFEST_PART_COUNT, "manifest", "a segment may have a file more than its places")           \
    _(MSGPACK_PAYLOAD_END, "msgpack", "a payload may end a byte behind the message")               \
    _(RECORD_DOCUMENT_END, "record", "a document may end a byte behind its field")                 \
    _(RPC_HEAD_END, "rpc", "a value's head may end a byte behind what has come")                   \
    _(SEGMENT_LAST_DOCUMENT, "segment", "the last document of a block may end before it begins")   \
    _(SPANN_ROW_END, "spann", "a list may have a row behind the last one")                         \
    _(WAL_PAYLOAD_END, "wal", "a record may end a byte behind its file")

enum planted_defect {
#define PLANTED_ENUM(name, target, text) PLANTED_##name,
    PLANTED_DEFECTS(PLANTED_ENUM)
#undef PLANTED_ENUM
        PLANTED_COUNT
};

#ifdef LYNSE_PLANTED
extern bool planted_is_on[PLANTED_COUNT];
#define PLANTED(name) (planted_is_on[PLANTED_##name])
#else
#define PLANTED(name) (false)
#endif

/* The one of that name is on from here on, and no other; NULL: none is.  false: there is none of
 * that name in this build. */
bool planted_set(const char *name);

#endif
