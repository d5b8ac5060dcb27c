/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h — the groups of one word as the engine's writes, and its answers against the oracle's.
 *
 * WHO IS NEXT  A group that fails before it is logged (the disk is full and two tails wait, say)
 * does not stop those behind it: they are logged with the LSNs that come next, upon the state
 * without it, and all are answered together afterwards.  A crash before the answers finds them on
 * the disk.  So the oracle is told at each operation of the disk what was refused by then; the
 * answer, when it comes, has to say the same.
 */
#ifndef CRASHLAB_BATCH_H
#define CRASHLAB_BATCH_H

#include "collection/collection.h"
#include "crashlab/world.h"

struct batch {
    struct oracle_group groups[WORD_GROUPS];
    struct collection_write writes[WORD_GROUPS];
    struct oracle_rows rows[WORD_GROUPS];
    int codes[WORD_GROUPS]; /* expected */
    size_t row_counts[WORD_GROUPS];
    uint64_t lsns[WORD_GROUPS]; /* expected; 0: nothing is written */
    /* The writes that the engine works on, each until it is answered: for their errors. */
    const struct collection_write *in_engine[WORD_GROUPS];
    bool is_refused[WORD_GROUPS]; /* for want of a disk; undone for good, not in doubt */
    bool is_answered[WORD_GROUPS];
    size_t befores[WORD_GROUPS]; /* last LSN before the group */
    size_t count;
};

/* Submit the groups to the oracle and make their writes, which are in_engine unless the caller says
 * otherwise.  -1: no write, or an auto id too many. */
int batch_make(struct batch *b, struct lab_oracle *o, const char *word);
void batch_deinit(struct batch *b);
/* Tell the oracle which groups are refused as things stand: those behind meet another state. */
void batch_look(struct batch *b, struct lab_oracle *o);
/* Send the groups once more whose requests the collection must remember: nothing is applied.  After
 * a crash (is_fresh) the first group that it took, too: it is applied, for once.  Between batches;
 * the collection's answers are not looked at elsewhere. */
int batch_retry(struct target *t, struct lab_oracle *o, struct collection *c, bool is_fresh);
/* One answer; raises the oracle's promises.  -1: t->why. */
int batch_answered(struct batch *b, struct target *t, struct lab_oracle *o,
                   const struct collection_write *w);
/* All were answered? */
int batch_finish(struct batch *b, struct target *t);

/* Promises by what a collection shows: its view (P3), the hook in it, and its durable_lsn. */
void promise_look(struct lab_oracle *o, const struct collection *c, const struct view *view);

/* ---- the hook: "hook" installs the next version of it, "unhook" drops it ---- */

/* What the order is to carry, and the oracle is told that it is asked for; NULL: there is nothing
 * to drop, or the one before is in doubt until the collection is opened again.  Aborts without
 * memory. */
struct installed_hook *hook_ask(struct lab_oracle *o, struct alloc *a, bool is_drop);
void hook_answered(struct lab_oracle *o, int rc,
                   const struct error *err); /* how the order was answered */

/* The state of an opened collection against the oracle; is_fresh: it becomes the oracle's, and no
 * file is left behind (but a seal that is under way has files that nothing names yet). */
int collection_judge(struct target *t, struct lab_oracle *o, struct collection *c, bool is_fresh,
                     bool is_sealing);

#endif
