/* SPDX-License-Identifier: Apache-2.0 */
/* space.h — room on the disk of a root: the mark below which nothing new is written, and the
 * reserve that deleting, flushing and closing fall back on.
 *
 * A root that nothing is known of (in memory, or a file system that does not say) has no mark and
 * no reserve: everything is admitted, and the write itself finds out.
 * THREADS  Any, but for space_init, space_watch and space_deinit.
 */
#ifndef ENGINE_SPACE_H
#define ENGINE_SPACE_H

#include "base/rng.h"
#include "base/thread.h"
#include "os/vfs.h"

#define RESERVE_NAME "RESERVE"

struct space_desc {
    struct alloc *alloc;
    struct vfs_dir *root;     /* borrowed; opened for writing, its LOCK held */
    const char *path;         /* borrowed; for the log */
    uint64_t low_water_bytes; /* 0: the default (space_default_mark) */
    uint64_t seed;            /* of the reserve's bytes: another one for each root */
};

struct space {
    struct space_desc desc; /* constant once it is watched; root NULL: it is not */
    struct rng rng;         /* the maker's of the reserve */
    struct mutex mutex;     /* of all below */
    uint64_t mark_bytes;    /* writes leave so much free */
    uint64_t free_bytes; /* at the last look, less what was admitted since; UINT64_MAX: unknown */
    uint64_t admitted_bytes; /* since the last look */
    uint64_t looked_us;
    uint64_t retry_us;      /* the reserve is not tried again before */
    uint64_t held_bytes;    /* on the disk, by the collections that are open */
    uint64_t waiting_bytes; /* of theirs that are logged and still to be written into segments */
    bool must_look;
    bool is_full; /* nothing new is admitted until there is clearly more than the mark */
    bool has_reserve;
    bool was_released; /* the reserve's room is in use: it has to be back before writes go on */
    bool is_making;    /* the reserve, on some thread */
};

void space_init(struct space *s);
/* From now on there is a mark.  Finds the reserve that is there, and removes a part of one. */
void space_watch(struct space *s, const struct space_desc *desc);
void space_deinit(struct space *s); /* the reserve stays on the disk */

/* The larger of 64 MiB and one per cent, but at most an eighth of the file system; 0 of an unknown
 * one. */
uint64_t space_default_mark(uint64_t total_bytes);

/* May a write of so many bytes be begun?  Mostly a look at what is remembered; the disk is asked
 * after 16 MiB, after half a second, and before anything is refused.
 *
 * may_wait  make the reserve where that is all that is missing: once it was given up writes go on
 *           only after it was made again.  A call that may not wait for that leaves it to
 *           space_keep_reserve.
 * err       DISK_FULL with what is free and what has to be; nothing was written.
 */
int space_admit(struct space *s, uint64_t bytes, uint64_t now_us, bool may_wait, struct error *err);

/* Something answered DISK_FULL: what is remembered is wrong. */
void space_doubt(struct space *s);

/* Something that has to work on a full disk answered DISK_FULL: give the reserve up.  true: its
 * room is there, try once more. */
bool space_release_reserve(struct space *s);

/* What a collection has on the disk has changed: *held_bytes is its own share, 0 at first. */
void space_set_held(struct space *s, uint64_t *held_bytes, uint64_t now_bytes);

/* What a collection has in no segment yet has changed.  So much is kept free above the mark: else a
 * disk could be full of log that nothing is left to seal. */
void space_set_waiting(struct space *s, uint64_t *waiting_bytes, uint64_t now_bytes);

/* Make the reserve if the root is large enough to have one, it is not there, and there is room.
 * Waits for the disk, so not in a poll, nor inline in a write.  What goes wrong is logged and tried
 * again later. */
void space_keep_reserve(struct space *s, uint64_t now_us);

#endif
