/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h — a collection as a child would write it: an array of rows, and a scan.
 *
 * What a row holds follows from two small numbers, so that a row is a few bytes and many rows have
 * equal vectors (ties).  Every change is journalled with its LSN, so that a crash can take it back.
 */
#ifndef MODEL_REFERENCE_H
#define MODEL_REFERENCE_H

#include "base/buf.h"
#include "base/rng.h"
#include "codec/id.h"

enum {
    REF_NUMBERS = 600, /* integer ids 0..599; those that are asked for by number are below 200 */
    REF_EXPLICIT = 200,
    REF_TEXTS = 60,
    REF_IDS = REF_NUMBERS + REF_TEXTS,
    REF_GROUP_ROWS = 24,
    REF_DIM_MAX = 64,
};

enum ref_kind { REF_ADD, REF_UPSERT, REF_DELETE, REF_RESTORE };
struct ref_group {
    enum ref_kind kind;
    bool is_auto;       /* ADD without ids */
    bool has_documents; /* UPSERT without them keeps the fields */
    uint8_t level;      /* asked for; 0: the collection's */
    uint32_t dim;
    size_t count;
    int ids[REF_GROUP_ROWS]; /* indexes */
    uint32_t vectors[REF_GROUP_ROWS];
    uint32_t documents[REF_GROUP_ROWS]; /* 0: none given */
};

struct ref_row {
    uint64_t newest; /* LSN of the newest version; 0: never seen */
    uint32_t vector;
    uint32_t document; /* 0: empty */
    bool is_live;
};
struct ref_change {
    uint64_t lsn;
    int id;
    struct ref_row before;
};
struct reference {
    struct alloc *alloc;
    struct ref_row rows[REF_IDS];
    uint64_t lsn;
    uint64_t live_count;
    int max_number; /* -1: none */
    uint32_t dim;   /* 0: not known */
    uint8_t metric;
    struct buf journal; /* struct ref_change, and max_number and dim before each LSN in `heads` */
    struct buf heads;   /* struct ref_head */
};
struct ref_head {
    uint64_t lsn;
    int max_number;
    uint32_t dim;
};

void reference_init(struct reference *r, struct alloc *a, uint8_t metric);
void reference_deinit(struct reference *r);
/* What the group would answer: the code, and the rows it changes. */
int reference_judge(const struct reference *r, const struct ref_group *g, size_t *out_rows);
/* Do it as the next LSN; it changes something.  An auto add has been given its ids. */
void reference_apply(struct reference *r, const struct ref_group *g);
void reference_roll_back(struct reference *r, uint64_t lsn); /* to the state after that LSN */
void reference_forget(struct reference *r, uint64_t lsn);    /* never rolled back below that */

struct record_id reference_id(int index);
int reference_index(const struct record_id *id); /* -1: none of ours */
void reference_vector(uint32_t seed, uint32_t dim, float *out);
void reference_document(uint32_t seed, struct buf *out); /* appended; nothing for 0 */

/* A hit of a search by brute force. */
struct ref_hit {
    int id;
    float distance; /* smaller is nearer */
};
/* All live rows, nearest first, ties by id; the number of them. */
size_t reference_scan(const struct reference *r, const float *query, struct ref_hit out[REF_IDS]);
float reference_score(const struct reference *r, float distance); /* as the user sees it */

#endif
