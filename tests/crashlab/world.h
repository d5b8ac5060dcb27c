/* SPDX-License-Identifier: Apache-2.0 */
/* world.h — what must be on a disk: collections, whether they exist, what each holds; and the
 * engine that runs on it.
 *
 * Two targets answer to the same words: a collection by itself (its directory is the root), and a
 * whole root with its catalog and up to WORLD_SLOTS collections.
 *
 * WORDS        w:a1,b2|-c      write groups (parted by |) in one batch; in a group: a1 put id a
 *                              with value 1, =a1 put and keep the fields, !a1 add, -a delete,
 *                              +a restore, #3 add three rows without ids; all of a group are of one
 *                              kind
 *              W:…             the same with documents of 900 bytes
 *              w1: w2: w3:     the same, asking for level always, interval or os
 *              q:… q1:…        the same, each group with the id of a request; again sends all of
 *                              them that are remembered once more; so does every crash
 *              freeze          freeze the tail and begin a seal;  build  run its build
 *              seal  seal0     finish the seal that was begun, or do it all;  cancel  forget it
 *              ckpt            checkpoint: seal all, retire the log
 *              sync  mark  close (and open again)  mode:always|interval|os|none
 *              index  describe  hook  unhook  one manifest each
 *              graph           the same, and from now on segments are to have an index
 *              indexed         build what is missing, and load it; in a root graph does that too
 *              sync0  sync1    begin and end of a background sync; here sync1 does it all
 *   root only: create:1  drop:1  drop:all (the database)  use:1
 *              tick (100 ms pass)  poll (one step)  idle (all steps)
 *              quiet (five seconds pass, and all steps)
 *              full (the disk has no free byte)  room (it has again)
 */
#ifndef CRASHLAB_WORLD_H
#define CRASHLAB_WORLD_H

#include "crashlab/disk.h"
#include "crashlab/oracle.h"

enum { WORLD_SLOTS = 3, WORD_BYTES = 64 };

enum slot_life {
    SLOT_NONE,
    SLOT_CREATING, /* may be there after a crash, empty */
    SLOT_LIVE,
    SLOT_DROPPING, /* may be there or not */
    SLOT_GOING,    /* the same, with all others of its database */
};
struct slot {
    enum slot_life life;
    struct lab_oracle oracle; /* of all but NONE */
};
struct world {
    struct alloc *alloc;
    struct slot slots[WORLD_SLOTS];
    bool is_media; /* being judged after damage: read-only is no excuse, CORRUPT is an answer */
};
void world_init(struct world *w, struct alloc *a);
void world_deinit(struct world *w);
void world_copy(struct world *to, const struct world *from);
/* Promises after a crash: what a power cut (or a kill) must not take. */
enum crash_kind { CRASH_KILL, CRASH_POWER };
void world_crash(struct world *w, enum crash_kind kind);

struct target; /* an engine on a file system, with the world that it must match */

/* How an engine is run. */
struct target_ops {
    const char *name;
    size_t slot_count;
    /* On an empty disk: make what every history starts with, and leave it closed. */
    void (*begin)(struct target *t);
    /* Recover.  -1: err. */
    int (*open)(struct target *t, struct error *err);
    /* One word.  -1: t->why says what was not as the world has it. */
    int (*perform)(struct target *t, const char *word);
    /* Raise the world's promises to what can be seen now. */
    void (*look)(struct target *t);
    /* Is everything as the world has it?  Freshly opened: the states may be any that the promises
     * allow, and become the world's.  -1: t->why. */
    int (*judge)(struct target *t, bool is_fresh);
    /* A small write that must be there at the next open, then close. */
    int (*touch)(struct target *t);
    /* Free without writing (the disk may refuse everything). */
    void (*abandon)(struct target *t);
};
extern const struct target_ops collection_target;
extern const struct target_ops root_target;

struct target {
    const struct target_ops *ops;
    struct alloc *alloc;
    struct vfs *fs;
    struct vfs *memory;  /* below fs, to be made full; NULL: it cannot be */
    struct world *world; /* borrowed */
    uint64_t seed;       /* of UUIDs: no two opens of one history share one */
    uint64_t open_count;
    bool expects_faults; /* operations of the disk fail: errors are answers */
    int fault_code;      /* of the last write that failed so; 0: none */
    bool is_corrupt;     /* judge failed because something could not be read: CORRUPT */
    char why[WHY_BYTES];
    void *state;
};

int target_fail(struct target *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- words ---- */

/* The groups of a "w:" word; the number of them, 0: not a write or not understood. */
enum { WORD_GROUPS = 8 };
size_t word_groups(const char *word, struct oracle_group out[WORD_GROUPS]);
/* The word that `text` begins with, cut off; false at the end. */
bool word_next(const char **text, char out[WORD_BYTES]);
uint8_t word_level(const char *word); /* of "mode:x"; 0: unknown */

#endif
