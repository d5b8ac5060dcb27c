/* SPDX-License-Identifier: Apache-2.0 */
/* record.h — payloads of log records ⇄ rows (FORMAT.md section 6).
 *
 * A record always holds whole rows: an upsert that keeps old fields is resolved before it is
 * logged, so that replay never looks anything up.  Decoding borrows from the payload.
 */
#ifndef CODEC_RECORD_H
#define CODEC_RECORD_H

#include "base/buf.h"
#include "base/error.h"
#include "codec/id.h"
#include "codec/record_kinds.h"
#include "codec/request_stamp.h"
#include "codec/vector_types.h"

/* Rows to encode: n ids; n x dim f32; n documents (msgpack maps; size 0 = the empty map). */
struct record_rows {
    const struct record_id *ids;
    size_t count;
    const float *vectors; /* row-major, any alignment */
    uint32_t dim;
    const struct slice *documents; /* NULL: all empty */
};

void record_encode_upsert(struct buf *out, const struct record_rows *rows);
/* The same without most of the vectors, for a log that writes them from where they are.  Returns
 * what is left out, a slice of rows->vectors; *out_at: where it belongs in what was appended. */
struct slice record_encode_upsert_around(struct buf *out, const struct record_rows *rows,
                                         size_t *out_at);
void record_encode_delete(struct buf *out, const struct record_id *ids, size_t count);
void record_encode_restore(struct buf *out, const struct record_id *ids,
                           const uint64_t *version_lsns, size_t count);
/* Behind any of them: the request that the group answers.  Who does not know it skips it. */
void record_encode_request(struct buf *out, const struct request_stamp *stamp);
size_t record_request_bytes(void);
/* An upper bound of what record_encode_upsert appends; ids NULL: integers. */
size_t record_upsert_bytes(const struct record_rows *rows);

/* A decoded record, walked row by row. */
struct record_view {
    enum record_kind kind;
    size_t count;
    struct id_column ids;         /* iterate with id_column_next */
    uint32_t dim;                 /* UPSERT */
    const uint8_t *vectors;       /* UPSERT: count x dim x 4 bytes, unaligned */
    const uint8_t *document_ends; /* UPSERT: (count + 1) x u32, or NULL: all empty */
    struct slice documents;
    const uint8_t *versions; /* RESTORE: count x u64 */
    struct request_stamp request;
};

/* kind has rows.  Everything is validated: counts against bytes left, ids, offsets monotone and
 * inside, documents are checked msgpack maps, components finite.  CORRUPT says what; unknown
 * required tags FORMAT_TOO_NEW; unknown storage types UNSUPPORTED. */
int record_decode(enum record_kind kind, struct slice payload, struct record_view *out,
                  struct error *err);
/* Document of row i of an UPSERT: a slice of the payload; size 0 = the empty map. */
struct slice record_document(const struct record_view *r, size_t i);

#endif
