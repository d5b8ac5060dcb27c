/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h — the one file that says which files are the collection (FORMAT.md 5, R6). */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/hash.h"
#include "lynse_kinds.h"
#include "os/vfs.h"
#include "store/applied_request.h"
#include "store/file_header.h"
#include "store/installed_hook.h"
#include "store/twin_file.h"

#define MANIFEST_PREFIX "manifest-"

/* SYNC_ALWAYS, …: what lynse.h calls LYNSE_SYNC_ALWAYS, …, of the same list. */
enum sync_level {
#define SYNC_LEVEL_ENUM(name, number, promise, of_writes) SYNC_##name = number,
    LYNSE_SYNC_LEVELS(SYNC_LEVEL_ENUM)
#undef SYNC_LEVEL_ENUM
};
#define SYNC_LEVEL_ONE(name, number, promise, of_writes) +1
enum { SYNC_LEVEL_MAX = 0 LYNSE_SYNC_LEVELS(SYNC_LEVEL_ONE) }; /* the highest: there are no gaps */
#undef SYNC_LEVEL_ONE
enum { MANIFEST_FIELDS_MAX = 64, SEGMENT_PARTS_MAX = 8 };

struct manifest_part {
    uint16_t kind;      /* enum part_kind */
    uint16_t field;     /* vector field, else 0 */
    uint8_t index_kind; /* PART_INDEX: enum index_kind, else 0 */
    uint32_t build;     /* PART_INDEX: what tells it from other builds of the kind; else 0 */
    uint64_t bytes;     /* of the whole file */
    struct hash128 hash;
};
struct manifest_segment {
    struct uuid uuid;
    uint64_t first_lsn;
    uint64_t last_lsn;
    uint64_t row_count;
    uint64_t map_lsn; /* deletes are complete up to here */
    uint64_t del_lsn; /* LSN in the name of the delete map; 0: none */
    uint32_t part_count;
    struct manifest_part parts[SEGMENT_PARTS_MAX];
};
enum { MANIFEST_INDEX_VALUES_MAX = 16, MANIFEST_INDEX_FLAT = 1 };
/* What else belongs to a kind of index above MANIFEST_INDEX_FLAT, or to that one with a quantizer;
 * numbers and places are those of the layer above, which knows what they mean.  All zero for
 * others, but is_auto. */
struct manifest_index {
    uint8_t quantizer;
    uint8_t value_count;
    uint32_t quantizer_number;
    double values[MANIFEST_INDEX_VALUES_MAX]; /* finite; those past value_count are 0 */
    bool is_auto; /* of any kind: nobody chose it, and it is chosen anew as rows come */
};
struct manifest_field {
    uint8_t kind;       /* enum vector_kind */
    uint8_t storage;    /* enum storage_type */
    uint8_t metric;     /* enum metric: the store does not know which there are */
    uint8_t index_kind; /* enum index_kind, likewise */
    uint32_t dim;       /* 0: not known yet */
    char name[129];
    struct manifest_index index;
};
struct manifest {
    struct alloc *alloc;
    uint64_t epoch;
    uint64_t number;      /* of the collection */
    uint64_t flushed_lsn; /* F */
    uint64_t durable_lsn; /* highest LSN of anything named here */
    uint64_t wal_first;   /* lowest log sequence still needed */
    uint64_t max_int_id;
    bool has_int_id;
    int64_t created_us;
    uint8_t sync_level; /* enum sync_level */
    uint32_t sync_interval_ms;
    char *description; /* NUL-terminated, owned; NULL: none */
    uint32_t field_count;
    struct manifest_field *fields; /* [0] is "default"; owned */
    uint32_t segment_count;
    struct manifest_segment *segments; /* in LSN order; owned */
    struct installed_hooks hooks;
    /* Of LSNs up to flushed_lsn.  Only while it is being published or has been loaded: the
     * collection's window has them. */
    struct applied_requests requests;
};

static inline bool sync_level_is_known(unsigned level)
{
    return level >= 1 && level <= SYNC_LEVEL_MAX;
}
/* Does it promise less than the other?  Both are known. */
bool sync_level_is_weaker(unsigned level, unsigned than);
/* May a single write ask for it?  Of an unknown one, 0 among them: false. */
bool sync_level_is_for_writes(unsigned level);

void manifest_init(struct manifest *m, struct alloc *a);
void manifest_deinit(struct manifest *m); /* of a zeroed one: nothing */
/* All but the requests; to is initialised. */
int manifest_copy(struct manifest *to, const struct manifest *from, struct error *err);

/* Encode and publish as epoch m->epoch; the caller has raised it (invariant: by one).  Failure as
 * with twin_file_publish.  INTERNAL: m breaks a rule that manifest_decode holds; nothing was
 * written. */
int manifest_publish(const struct manifest *m, struct vfs_dir *dir, const struct file_owner *owner,
                     struct rng *rng, bool *out_renamed, struct error *err);
/* The highest epoch, verified: checksums, structure, segment order; that its files exist with the
 * recorded length is checked too (R6).  m is initialised and empty, and stays so on failure.
 * NOT_FOUND when there is none. */
int manifest_load(struct manifest *m, struct vfs_dir *dir, const struct file_owner *owner,
                  struct twin_info *out_info, struct error *err);
/* The body alone.  Decode: m is initialised and empty, and stays so on failure; everything that
 * the encoder guarantees is checked.  Encode appends at a multiple of 8. */
int manifest_decode(struct manifest *m, struct slice body, struct error *err);
int manifest_encode(const struct manifest *m, struct buf *out, struct error *err);

/* min(flushed_lsn, all map_lsn): the log is replayed from the LSN after it (R6). */
uint64_t manifest_replay_from(const struct manifest *m);

/* Does any field have an index that the first releases did not know, or one of its own choice? */
bool manifest_has_index(const struct manifest *m);
/* The index of a segment's field; NULL: none is named. */
const struct manifest_part *manifest_find_index(const struct manifest_segment *s, uint16_t field);
/* Name no index of it any more. */
void manifest_drop_indexes(struct manifest_segment *s);

/* "seg-<uuid>.ids", ".vec-<field>", ".doc", ".del-<lsn>", ".idx-<field>-<index kind>-<build>" */
enum { PART_NAME_BYTES = 80 };
void part_name(char out[PART_NAME_BYTES], const struct uuid *segment, enum part_kind kind,
               uint64_t number);
/* The number in the name of a segment's part: its field, the LSN of its delete map, 0; of an index
 * all three of its own, as index_part_number has them. */
uint64_t manifest_part_number(const struct manifest_segment *s, const struct manifest_part *p);
static inline uint64_t index_part_number(const struct manifest_part *p)
{
    return (uint64_t)p->build << 24 | (uint64_t)p->field << 8 | p->index_kind;
}

#endif
