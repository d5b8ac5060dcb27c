/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.h — what a collection must hold: every group ever submitted, the state after each of them,
 * and what was promised about which of them survives what.
 *
 * Ids are the numbers 0..63 (a..z are 0..25) and 26 texts (A..Z).  What a row holds follows from
 * its id and a small value, so that a state is a few bytes an id.
 */
#ifndef CRASHLAB_ORACLE_H
#define CRASHLAB_ORACLE_H

#include "base/buf.h"
#include "codec/id.h"
#include "segment/view.h"
#include "store/manifest.h"

enum {
    ORACLE_NUMBERS = 64,
    ORACLE_TEXTS = 26,
    ORACLE_IDS = ORACLE_NUMBERS + ORACLE_TEXTS,
    ORACLE_DIM = 4,
    ORACLE_ROWS = 16, /* of one group */
    /* Values from here on are of rows sent without an id: their vectors follow from them alone. */
    ORACLE_UNNAMED = 1 << 15,
};

/* One id in one state: its newest version, which is kept when it is deleted (restore). */
struct oracle_row {
    uint16_t newest; /* LSN of the version; 0: never seen */
    uint16_t value;
    uint16_t doc; /* value that the document was made of; 0: empty */
    bool is_live;
    bool is_large; /* the document is */
};
enum oracle_kind { GROUP_ADD, GROUP_PUT, GROUP_KEEP, GROUP_DELETE, GROUP_RESTORE };
/* A group to be submitted. */
struct oracle_group {
    enum oracle_kind kind;
    int ids[ORACLE_ROWS]; /* index of the id */
    uint16_t values[ORACLE_ROWS];
    size_t count;
    bool is_large;
    bool is_auto;     /* ADD without ids */
    uint8_t level;    /* enum sync_level that was asked for; 0: the collection's */
    bool is_request;  /* it has an id, */
    uint32_t request; /* this one; 0: not yet */
};

struct oracle_state {
    struct oracle_row rows[ORACLE_IDS];
    int max_number; /* largest integer id ever used; -1: none */
    uint8_t level;  /* of the group that made it */
    struct oracle_group group;
    uint16_t row_count; /* that it changed */
};

/* LSNs that the next recovery must reach at least: after a kill, after a power cut, and after the
 * damage of one block (or else it must be reported). */
struct oracle_promise {
    uint16_t kill;
    uint16_t power;
    uint16_t vouched;
};

/* What the manifest must say of the one hook, as a step: twice its version, and one more when it
 * was dropped since; 0: there never was one. */
struct oracle_hook {
    uint32_t promised; /* answered, or seen */
    uint32_t asked;    /* the same, or the next: then either may be found after a crash */
};

struct lab_oracle {
    struct alloc *alloc;
    struct oracle_hook hook;
    struct oracle_state *states; /* [0] is empty; [m] after LSN m */
    size_t capacity;
    size_t lsn;    /* of the last group submitted */
    uint8_t level; /* the collection's */
    struct oracle_promise promise;
    size_t top;             /* of the states, those that were taken back counted too */
    size_t remembered_from; /* requests of this LSN and later have a place in the window */
    uint32_t last_request;
};

void oracle_init(struct lab_oracle *o, struct alloc *a, uint8_t level);
void oracle_deinit(struct lab_oracle *o);
void oracle_copy(struct lab_oracle *to, const struct lab_oracle *from);

/* Submit a group: *out_code is what the engine must answer, *out_rows how many rows change.  A
 * group that changes something is the next LSN. */
void oracle_submit(struct lab_oracle *o, const struct oracle_group *g, int *out_code,
                   size_t *out_rows);
void oracle_take_back(struct lab_oracle *o, size_t lsn); /* groups above never happened */

/* The rows of a group as the engine wants them; memory of `out`. */
struct oracle_rows {
    struct record_id ids[ORACLE_ROWS];
    float vectors[ORACLE_ROWS * ORACLE_DIM];
    struct slice documents[ORACLE_ROWS];
    struct buf bytes;
};
void oracle_rows_make(struct oracle_rows *out, struct alloc *a, const struct oracle_group *g);
void oracle_rows_deinit(struct oracle_rows *r);
struct record_id oracle_id(int index);
void oracle_vector(int id, uint16_t value, float out[ORACLE_DIM]);

/* Is the view the state after `lsn` groups, deleted rows that restore needs included?  -1: `why`;
 * ORACLE_CORRUPT: something cannot be read, and says so. */
enum { WHY_BYTES = 512, ORACLE_CORRUPT = -2 };
int oracle_compare(const struct lab_oracle *o, struct view *v, size_t lsn, char why[WHY_BYTES]);
#endif
