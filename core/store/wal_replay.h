/* SPDX-License-Identifier: Apache-2.0 */
/* wal_replay.h — read a log file, prove where it ends, hand out its groups (R2, R3, R3a). */
#ifndef STORE_WAL_REPLAY_H
#define STORE_WAL_REPLAY_H

#include "base/buf.h"
#include "store/wal.h"

struct wal_header {
    struct file_header base;
    uint64_t sequence;
    uint64_t first_lsn;
    uint64_t file_bytes;
    struct uuid prev_uuid;
    uint64_t prev_last_lsn;
    uint32_t prev_last_crc;
};
void wal_header_encode(const struct wal_header *h, uint8_t out[256]);
/* Both copies from a file; one damaged copy is survived and reported. CORRUPT: none is good, or
 * both are and differ. */
int wal_header_read(struct slice file, const struct file_owner *owner, const char *name, struct wal_header *out,
                    int *out_damaged_copies, struct error *err);

/* What a walk over one file found. */
struct wal_scan {
    struct wal_header header;
    uint64_t last_lsn;     /* of the last complete group; first_lsn - 1 when there is none */
    uint32_t last_crc;     /* CRC of its group-end record; 0 when there is none */
    uint64_t vouched_lsn;  /* highest durable_lsn in any valid record of this salt, behind damage too */
    uint64_t end_offset;   /* after the last record of the last complete group */
};
/* Called per record of complete groups only, in order; a -1 stops the walk and is returned. */
typedef int wal_record_fn(void *ctx, uint64_t lsn, enum record_kind kind, struct slice payload, bool is_group_end,
                          struct error *err);
/* Walk the bytes of one file.  fn NULL: only find the end.  upto_lsn: groups above are not handed
 * out (they are dead, R3a).  Unknown kinds: skipped when ignorable, else FORMAT_TOO_NEW. */
int wal_scan(struct slice file, const struct file_owner *owner, const char *name, uint64_t upto_lsn, wal_record_fn *fn,
             void *ctx, struct wal_scan *out, struct error *err);

/* Framing of one record, for the writer and for tests: header + payload + padding into out. */
size_t wal_record_bytes(size_t payload_bytes);
uint32_t wal_record_encode(struct buf *out, const struct uuid *salt, enum record_kind kind, uint8_t flags, uint64_t lsn,
                           uint64_t durable_lsn, uint32_t prev_crc, struct slice payload);

#endif
