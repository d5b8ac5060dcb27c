/* SPDX-License-Identifier: Apache-2.0 */
/* wal_replay.h — read a log file, prove where it ends, hand out its groups (R2, R3, R3a). */
#ifndef STORE_WAL_REPLAY_H
#define STORE_WAL_REPLAY_H

#include "base/buf.h"
#include "codec/record_kinds.h"
#include "store/wal.h"

struct wal_header {
    struct file_header base; /* base.file is the salt of the records */
    uint64_t sequence;
    uint64_t first_lsn; /* at least 1; prev_last_lsn + 1 */
    uint64_t file_bytes;
    struct uuid prev_uuid;
    uint64_t prev_last_lsn;
    uint32_t prev_last_crc;
};
void wal_header_encode(const struct wal_header *h, uint8_t out[WAL_HEADER_BYTES]);

/* Both copies, from the beginning of a file (its first WAL_RECORDS bytes are enough); one damaged
 * copy is survived and counted.  CORRUPT: none is good, or both are and differ, or it is not
 * `owner`'s.  *out_read_only_needed: an unknown read-only-compatible feature.  name is for the
 * text. */
int wal_header_read(struct slice file, const struct file_owner *owner, const char *name,
                    struct wal_header *out, int *out_damaged_copies, bool *out_read_only_needed,
                    struct error *err);

/* What a walk over one file found. */
struct wal_scan {
    struct wal_header header;
    uint64_t last_lsn;    /* of the last complete group; first_lsn - 1 when there is none */
    uint32_t last_crc;    /* CRC of its group-end record; 0 when there is none */
    uint64_t vouched_lsn; /* highest durable_lsn in any valid record; see wal_scan */
    uint64_t marked_lsn;  /* the same of marks before the end, which share no block with groups */
    uint64_t end_offset;  /* after the last complete group, and the marks behind it */
    bool is_torn;         /* something else than zeros stands where the next record would */
};

/* Called per record of complete groups only, in order; a -1 stops the walk and is returned.
 * is_group_end: the last record of its group that this version knows.  A group without one that it
 * knows is not handed out, so LSNs may leave gaps, and the last may be below wal_scan.last_lsn. */
typedef int wal_record_fn(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload,
                          bool is_group_end, struct error *err);

enum { WAL_SEARCH_FACTOR = 4 };

/* Walk the bytes of one whole file.  fn NULL: only find the end.
 *
 * upto_lsn      Groups above are dead (R3a): the walk ends before them.  UINT64_MAX: the newest
 *               file; what lies behind the end is searched for records of this file's salt, because
 *               one that was written later may vouch for what is damaged (R3).
 * err           CORRUPT: the header; the file is shorter than it was made; more than
 *               WAL_SEARCH_FACTOR times the file would have to be checksummed to search it, which
 *               no crash leaves behind.  FORMAT_TOO_NEW: a complete group has a record of an
 *               unknown kind that is not ignorable.
 * cost          At most 1 + WAL_SEARCH_FACTOR + 5.25 times the file is checksummed; nothing is
 *               allocated.  Any bytes are safe (P9). */
int wal_scan(struct slice file, const struct file_owner *owner, const char *name, uint64_t upto_lsn,
             wal_record_fn *fn, void *ctx, struct wal_scan *out, struct error *err);

enum wal_record_flag { WAL_GROUP_END = 1, WAL_IGNORABLE = 2 };

/* Framing of one record, for the writer and for tests: header, payload and padding are appended to
 * out, at a multiple of 8 of the file.  Returns its CRC; a failure is the buf's. */
size_t wal_record_bytes(size_t payload_bytes);
uint32_t wal_record_encode(struct buf *out, const struct uuid *salt, enum record_kind kind,
                           uint8_t flags, uint64_t lsn, uint64_t durable_lsn, uint32_t prev_crc,
                           struct slice payload);
/* A payload with a part that is not appended: it belongs at byte bulk_at of `around`, which is byte
 * WAL_RECORD_HEADER_BYTES + bulk_at of what is. */
struct wal_payload {
    struct slice around;
    struct slice bulk;
    size_t bulk_at;
};
uint32_t wal_record_encode_around(struct buf *out, const struct uuid *salt, enum record_kind kind,
                                  uint8_t flags, uint64_t lsn, uint64_t durable_lsn,
                                  uint32_t prev_crc, const struct wal_payload *payload);

#endif
