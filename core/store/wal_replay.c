/* SPDX-License-Identifier: Apache-2.0 */
/* wal_replay.c — read a log file, prove where it ends, hand out its groups.
 *
 * WHAT        Framing of log files: headers, records, and the walk along the chain of records.
 * LAYOUT      FORMAT.md 6.
 * INVARIANTS  (1) A record is valid when its CRC is right, which covers the file's salt, the CRC of
 *                 the record before it and every byte up to its padding (R2).
 *             (2) Only complete groups are handed out: the LSNs of a file run from first_lsn
 *                 without a gap, and a group counts from its record with WAL_GROUP_END on.
 *             (3) The walk ends at the first record that is invalid or out of order; what stands
 *                 behind it can vouch (R3), it is never data.
 *             (4) Work is linear in the file: each byte is walked at most once, and the search
 *                 behind the end has a budget.
 * THREADS     Stateless.
 * FAILURE     Hostile bytes give CORRUPT or end the walk early; nothing is allocated (P9).
 */
#include "store/wal_replay.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/hash.h"
#include "base/planted.h"

enum header_offset {
    AT_SEQUENCE = 80,
    AT_FIRST_LSN = 88,
    AT_FILE_BYTES = 96,
    AT_PREV_UUID = 104,
    AT_PREV_LAST_LSN = 120,
    AT_PREV_LAST_CRC = 128,
    AT_RESERVED = 132,
    AT_HEADER_CRC = 252,
};
enum record_offset {
    AT_PAYLOAD_BYTES = 0,
    AT_KIND = 4,
    AT_FLAGS = 5,
    AT_CHECK = 6,
    AT_LSN = 8,
    AT_DURABLE_LSN = 16,
    AT_PREV_CRC = 24,
    AT_CRC = 28,
};

/* ---- header ---- */

void wal_header_encode(const struct wal_header *h, uint8_t out[WAL_HEADER_BYTES])
{
    memset(out, 0, WAL_HEADER_BYTES);
    file_header_encode(&h->base, out);
    store_u64(out + AT_SEQUENCE, h->sequence);
    store_u64(out + AT_FIRST_LSN, h->first_lsn);
    store_u64(out + AT_FILE_BYTES, h->file_bytes);
    memcpy(out + AT_PREV_UUID, h->prev_uuid.bytes, sizeof h->prev_uuid.bytes);
    store_u64(out + AT_PREV_LAST_LSN, h->prev_last_lsn);
    store_u32(out + AT_PREV_LAST_CRC, h->prev_last_crc);
    store_u32(out + AT_HEADER_CRC, crc32c(0, out, AT_HEADER_CRC));
}

/* NULL, or what is wrong with the copy at `offset`. */
static const char *check_header_copy(struct slice file, size_t offset)
{
    if (file.size < offset + WAL_BLOCK_BYTES) return "is cut short";
    const uint8_t *p = file.data + offset;
    if (load_u32(p + AT_HEADER_CRC) != crc32c(0, p, AT_HEADER_CRC)) return "has a wrong checksum";
    if (!bytes_are_zero(p + AT_RESERVED, AT_HEADER_CRC - AT_RESERVED) ||
        !bytes_are_zero(p + WAL_HEADER_BYTES, WAL_BLOCK_BYTES - WAL_HEADER_BYTES))
        return "has reserved bytes that are not zero";
    return NULL;
}

static int decode_header(const uint8_t *p, const struct file_owner *owner, const char *name,
                         struct wal_header *out, bool *out_read_only_needed, struct error *err)
{
    struct wal_header h;

    if (file_header_decode(p, MAGIC_WAL, WAL_HEADER_BYTES, owner, name, &h.base,
                           out_read_only_needed, err) != 0)
        return -1;
    h.sequence = load_u64(p + AT_SEQUENCE);
    h.first_lsn = load_u64(p + AT_FIRST_LSN);
    h.file_bytes = load_u64(p + AT_FILE_BYTES);
    memcpy(h.prev_uuid.bytes, p + AT_PREV_UUID, sizeof h.prev_uuid.bytes);
    h.prev_last_lsn = load_u64(p + AT_PREV_LAST_LSN);
    h.prev_last_crc = load_u32(p + AT_PREV_LAST_CRC);
    if (h.sequence == 0 || h.sequence > LSN_MAX)
        return error_set(err, LYNSE_CORRUPT, "'%s' says it has an impossible number", name);
    if (h.first_lsn == 0 || h.first_lsn > LSN_MAX || h.first_lsn - 1 != h.prev_last_lsn)
        return error_set(err, LYNSE_CORRUPT, "'%s': it begins at LSN %llu, after LSN %llu", name,
                         (unsigned long long)h.first_lsn, (unsigned long long)h.prev_last_lsn);
    *out = h;
    return 0;
}

int wal_header_read(struct slice file, const struct file_owner *owner, const char *name,
                    struct wal_header *out, int *out_damaged_copies, bool *out_read_only_needed,
                    struct error *err)
{
    const char *bad[2] = {check_header_copy(file, 0), check_header_copy(file, WAL_SECOND_HEADER)};
    size_t good = bad[0] ? WAL_SECOND_HEADER : 0;

    if ((bad[0] && bad[1]) || (FAULT(WAL_ONE_HEADER) && bad[0]))
        return error_set(err, LYNSE_CORRUPT,
                         "'%s': both headers are bad (the first %s, the second %s)", name, bad[0],
                         bad[1] ? bad[1] : "is not looked at");
    if (!bad[0] && !bad[1] &&
        memcmp(file.data, file.data + WAL_SECOND_HEADER, WAL_HEADER_BYTES) != 0)
        return error_set(err, LYNSE_CORRUPT, "'%s': its two headers are whole and differ", name);
    if (decode_header(file.data + good, owner, name, out, out_read_only_needed, err) != 0)
        return -1;
    *out_damaged_copies = bad[0] || bad[1];
    if (*out_damaged_copies) REACHED(RECOVERY_DAMAGED_COPY);
    return 0;
}

/* ---- records ---- */

size_t wal_record_bytes(size_t payload_bytes)
{
    return WAL_RECORD_HEADER_BYTES + align_up(payload_bytes, 8);
}

static uint32_t crc_of_salt(const struct uuid *salt)
{
    return crc32c(0, salt->bytes, sizeof salt->bytes);
}

/* Of what the 16 bits cover: it is enough to tell a record header from other bytes. */
static uint16_t header_check(uint32_t salt_crc, const uint8_t *p)
{
    uint32_t crc = crc32c(salt_crc, p, AT_CHECK);
    return (uint16_t)crc32c(crc, p + AT_LSN, AT_CRC - AT_LSN);
}

uint32_t wal_record_encode(struct buf *out, const struct uuid *salt, enum record_kind kind,
                           uint8_t flags, uint64_t lsn, uint64_t durable_lsn, uint32_t prev_crc,
                           struct slice payload)
{
    const struct wal_payload whole = {.around = payload};

    return wal_record_encode_around(out, salt, kind, flags, lsn, durable_lsn, prev_crc, &whole);
}

uint32_t wal_record_encode_around(struct buf *out, const struct uuid *salt, enum record_kind kind,
                                  uint8_t flags, uint64_t lsn, uint64_t durable_lsn,
                                  uint32_t prev_crc, const struct wal_payload *payload)
{
    struct slice around = payload->around;
    size_t payload_bytes = around.size + payload->bulk.size;
    size_t padded = around.size + align_up(payload_bytes, 8) - payload_bytes;
    uint8_t *p = buf_extend(out, WAL_RECORD_HEADER_BYTES + padded);
    uint32_t salt_crc = crc_of_salt(salt);

    CHECK(payload_bytes <= UINT32_MAX && payload->bulk_at <= around.size);
    if (!p) return 0;
    uint8_t *body = p + WAL_RECORD_HEADER_BYTES;
    store_u32(p + AT_PAYLOAD_BYTES, (uint32_t)payload_bytes);
    p[AT_KIND] = (uint8_t)kind;
    p[AT_FLAGS] = flags;
    store_u64(p + AT_LSN, lsn);
    store_u64(p + AT_DURABLE_LSN, durable_lsn);
    store_u32(p + AT_PREV_CRC, prev_crc);
    store_u16(p + AT_CHECK, header_check(salt_crc, p));
    if (around.size > 0) memcpy(body, around.data, around.size);
    memset(body + around.size, 0, padded - around.size);
    uint32_t crc = crc32c(crc32c(salt_crc, p, AT_CRC), body, payload->bulk_at);
    crc = crc32c(crc, payload->bulk.data, payload->bulk.size);
    crc = crc32c(crc, body + payload->bulk_at, padded - payload->bulk_at);
    store_u32(p + AT_CRC, crc);
    return crc;
}

struct record {
    uint8_t kind;
    uint8_t flags;
    uint64_t lsn;
    uint64_t durable_lsn;
    uint32_t prev_crc;
    uint32_t crc;
    struct slice payload;
    size_t bytes; /* all of it */
};

/* Structure and the 16 bits, without touching the payload. */
static bool read_record_header(struct slice file, size_t at, uint32_t salt_crc, struct record *r)
{
    if (file.size - at < WAL_RECORD_HEADER_BYTES) return false;
    const uint8_t *p = file.data + at;
    size_t payload_bytes = load_u32(p + AT_PAYLOAD_BYTES);
    size_t left = file.size - at - WAL_RECORD_HEADER_BYTES;

    r->kind = p[AT_KIND];
    r->flags = p[AT_FLAGS];
    r->lsn = load_u64(p + AT_LSN);
    r->durable_lsn = load_u64(p + AT_DURABLE_LSN);
    r->prev_crc = load_u32(p + AT_PREV_CRC);
    r->crc = load_u32(p + AT_CRC);
    if (r->kind == 0 || (r->flags & ~(WAL_GROUP_END | WAL_IGNORABLE)) != 0) return false;
    if (r->durable_lsn > r->lsn) return false;
    if (align_up(payload_bytes, 8) > left + PLANTED(WAL_PAYLOAD_END)) return false;
    r->payload = slice_of(p + WAL_RECORD_HEADER_BYTES, payload_bytes);
    r->bytes = wal_record_bytes(payload_bytes);
    return load_u16(p + AT_CHECK) == header_check(salt_crc, p);
}

static bool record_is_valid(const struct record *r, uint32_t salt_crc)
{
    const uint8_t *p = r->payload.data - WAL_RECORD_HEADER_BYTES;
    uint32_t crc = crc32c(salt_crc, p, AT_CRC);
    return r->crc == crc32c(crc, r->payload.data, r->bytes - WAL_RECORD_HEADER_BYTES);
}

static bool read_record(struct slice file, size_t at, uint32_t salt_crc, struct record *r)
{
    return at <= file.size && read_record_header(file, at, salt_crc, r) &&
           record_is_valid(r, salt_crc);
}

/* ---- the walk ---- */

struct walk {
    struct slice file;
    const char *name;
    uint32_t salt_crc;
    size_t at;          /* of the next record */
    size_t group_begin; /* of the group that `at` is in, or at */
    uint32_t chain;     /* CRC of the record before `at` */
    wal_record_fn *fn;
    void *ctx;
};

/* Where the last record of the group begins that this version knows; w->at: there is none. */
static size_t find_last_known(const struct walk *w)
{
    size_t last = w->at;
    struct record r = {0};

    for (size_t at = w->group_begin; at < w->at; at += r.bytes) {
        bool is_whole = read_record_header(w->file, at, w->salt_crc, &r);
        CHECK(is_whole);
        if (record_kind_has_rows(r.kind)) last = at;
    }
    return last;
}

/* The records of a complete group, which has been verified up to w->at. */
static int hand_out_group(const struct walk *w, struct error *err)
{
    struct record r = {0};
    size_t last = find_last_known(w);

    for (size_t at = w->group_begin; at < w->at; at += r.bytes) {
        (void)read_record_header(w->file, at, w->salt_crc, &r);
        if (!record_kind_has_rows(r.kind)) {
            if (r.flags & WAL_IGNORABLE) continue;
            return error_set(err, LYNSE_FORMAT_TOO_NEW,
                             "'%s': LSN %llu has a record of kind %u, which this version does not "
                             "know",
                             w->name, (unsigned long long)r.lsn, r.kind);
        }
        if (w->fn &&
            w->fn(w->ctx, r.lsn, (enum record_kind)r.kind, r.payload, at == last, err) != 0)
            return -1;
    }
    return 0;
}

/* Does r continue the log?  Marks and padding stand between groups and repeat the last LSN. */
static bool is_next(const struct walk *w, const struct record *r, const struct wal_scan *out,
                    uint64_t upto_lsn)
{
    if (r->prev_crc != w->chain && !FAULT(WAL_NO_CHAIN)) return false;
    if (record_kind_is_filler(r->kind)) return w->at == w->group_begin && r->lsn == out->last_lsn;
    return out->last_lsn < upto_lsn && r->lsn == out->last_lsn + 1;
}

static int walk_groups(struct walk *w, uint64_t upto_lsn, struct wal_scan *out, struct error *err)
{
    struct record r;

    while (read_record(w->file, w->at, w->salt_crc, &r) && is_next(w, &r, out, upto_lsn)) {
        bool is_end = (r.flags & WAL_GROUP_END) != 0;
        w->at += r.bytes;
        w->chain = r.crc;
        if (r.durable_lsn > out->vouched_lsn) out->vouched_lsn = r.durable_lsn;
        if (r.kind == RECORD_MARK && r.durable_lsn > out->marked_lsn)
            out->marked_lsn = r.durable_lsn;
        if (record_kind_is_filler(r.kind)) {
            w->group_begin = w->at;
            continue;
        }
        if (FAULT(WAL_NO_GROUP_END) && !is_end) { /* a torn group counts as far as it got */
            struct record next;
            is_end = !read_record(w->file, w->at, w->salt_crc, &next);
        }
        if (!is_end) continue;
        if (hand_out_group(w, err) != 0) return -1;
        out->last_lsn++;
        out->last_crc = r.crc;
        w->group_begin = w->at;
    }
    return 0;
}

/* (4): a valid record is skipped as a whole, an invalid one costs its payload from the budget. */
static int search_behind(const struct walk *w, struct wal_scan *out, struct error *err)
{
    size_t budget = WAL_SEARCH_FACTOR * w->file.size;
    size_t step = 8;
    struct record r;

    for (size_t at = w->at; at + WAL_RECORD_HEADER_BYTES <= w->file.size; at += step) {
        step = 8;
        if (load_u64(w->file.data + at) == 0) continue;
        if (!read_record_header(w->file, at, w->salt_crc, &r)) continue;
        if (r.bytes > budget)
            return error_set(err, LYNSE_CORRUPT,
                             "'%s': too many damaged records behind LSN %llu to search them",
                             w->name, (unsigned long long)out->last_lsn);
        budget -= r.bytes;
        if (!record_is_valid(&r, w->salt_crc)) continue;
        if (r.durable_lsn > out->vouched_lsn) out->vouched_lsn = r.durable_lsn;
        step = r.bytes;
    }
    return 0;
}

int wal_scan(struct slice file, const struct file_owner *owner, const char *name, uint64_t upto_lsn,
             wal_record_fn *fn, void *ctx, struct wal_scan *out, struct error *err)
{
    struct wal_scan scan = {0};
    int damaged = 0;
    bool read_only_needed = false;

    if (wal_header_read(file, owner, name, &scan.header, &damaged, &read_only_needed, err) != 0)
        return -1;
    if (file.size < scan.header.file_bytes || file.size < WAL_RECORDS)
        return error_set(err, LYNSE_CORRUPT, "'%s' has %zu bytes and was made with %llu", name,
                         file.size, (unsigned long long)scan.header.file_bytes);
    struct walk w = {
        .file = file,
        .name = name,
        .salt_crc = crc_of_salt(&scan.header.base.file),
        .at = WAL_RECORDS,
        .group_begin = WAL_RECORDS,
        .fn = fn,
        .ctx = ctx,
    };
    scan.last_lsn = scan.header.first_lsn - 1;
    if (walk_groups(&w, upto_lsn, &scan, err) != 0) return -1;
    if (upto_lsn == UINT64_MAX && search_behind(&w, &scan, err) != 0) return -1;
    size_t left = file.size - w.group_begin;
    size_t look = left < WAL_RECORD_HEADER_BYTES ? left : WAL_RECORD_HEADER_BYTES;
    scan.end_offset = w.group_begin;
    scan.is_torn = !bytes_are_zero(file.data + w.group_begin, look);
    *out = scan;
    return 0;
}
