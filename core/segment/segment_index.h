/* SPDX-License-Identifier: Apache-2.0 */
/* segment_index.h — the index of a sealed segment: a file that the manifest names, and in memory
 * what is searched, once a search wanted it.
 *
 * An open collection has one for each such file, of which nothing is read.  The first search that
 * could use it wants it; then somebody loads it, step by step, and searches that begin later use
 * it.  Searches until then look at every row, and so do all if it cannot be loaded, or once one has
 * found damaged what its kind leaves in the file.
 * OWNERSHIP  Reference-counted; views and the collection's parts hold references.  It holds its
 *            segment.
 * THREADS    get, want and what they answer: any.  load_step: one thread at a time.
 */
#ifndef SEGMENT_SEGMENT_INDEX_H
#define SEGMENT_SEGMENT_INDEX_H

#include "index/index_image.h"
#include "index/index_mode.h"
#include "segment/segment.h"
#include "store/manifest.h"

struct segment_index;

enum segment_index_state {
    SEGMENT_INDEX_UNREAD,
    SEGMENT_INDEX_WANTED, /* by a search; or it is being loaded */
    SEGMENT_INDEX_READY,
    SEGMENT_INDEX_REFUSED,   /* it could not be loaded, and is not tried again */
    SEGMENT_INDEX_POSTPONED, /* it was no time for it; see segment_index_resume */
};

struct segment_index_desc {
    struct alloc *alloc;
    struct vfs_dir *dir; /* a reference is taken */
    struct file_owner owner;
    struct manifest_part part;
    struct segment *segment; /* a reference is taken */
    uint32_t row_count;
    enum metric metric;
    struct index_plan plan; /* of a kind that is built, which built the file */
};

/* Nothing is read.  NO_MEMORY. */
int segment_index_create(const struct segment_index_desc *desc, struct segment_index **out,
                         struct error *err);
struct segment_index *segment_index_acquire(struct segment_index *s);
void segment_index_release(struct segment_index *s);       /* NULL allowed */
bool segment_index_is_last(const struct segment_index *s); /* as segment_is_last */

/* NULL: it is not loaded.  Borrowed as long as s is held, like all that follows. */
const struct index *segment_index_get(const struct segment_index *s);
/* Of a loaded one: the rows that it was built over. */
const struct vector_source *segment_index_vectors(const struct segment_index *s);
const struct index_plan *segment_index_plan(const struct segment_index *s);
enum metric segment_index_metric(const struct segment_index *s);
size_t segment_index_memory_bytes(const struct segment_index *s); /* 0: it is not loaded */
const struct uuid *segment_index_collection(const struct segment_index *s);

enum segment_index_state segment_index_state(const struct segment_index *s);
/* Does what a load says tell of its file, and not of the moment?  INVALID: a folder or a link has
 * its name. */
static inline bool segment_index_is_damage(int code)
{
    return code == LYNSE_CORRUPT || code == LYNSE_IO || code == LYNSE_NOT_FOUND ||
           code == LYNSE_FORMAT_TOO_NEW || code == LYNSE_INVALID;
}
/* Its file is no use, as `why` says; of a code that is no damage nothing is noted, for another time
 * it may be read.  Searches that have it may go on with what
 * they have of it; the first note stays.  Any thread. */
void segment_index_note_damage(struct segment_index *s, const struct error *why);
const struct error *segment_index_damage(const struct segment_index *s); /* NULL: none is known */
/* It was unread, or nobody has heard of its damage, and this call is the first to want something
 * done: the caller sees to that it is loaded, or dropped, or takes the wish back with unwant. */
bool segment_index_want(struct segment_index *s);
void segment_index_unwant(struct segment_index *s);
/* A postponed one is unread again: the next search that wants it has it loaded. */
void segment_index_resume(struct segment_index *s);

/* Of a wanted one.  0: more is left; 1: it is ready; -1: it is refused, or with NO_MEMORY
 * and BUSY (no descriptors) postponed.  CORRUPT, IO: the file is no use, and its name is in the
 * text; what the segment's vectors say. */
int segment_index_load_step(struct segment_index *s, struct error *err);
/* All steps, wanted or not. */
int segment_index_load(struct segment_index *s, struct error *err);
/* The same file once more, not loaded: for who looks at it and leaves s as it is.  NO_MEMORY. */
int segment_index_copy(const struct segment_index *s, struct segment_index **out,
                       struct error *err);
/* Of a loaded one: everything that must hold of it and of its rows, to the last number (index.h).
 * vectors: segment_index_vectors, or what stands for them.  CORRUPT, what they say. */
int segment_index_check(const struct segment_index *s, const struct vector_source *vectors,
                        struct error *err);

#endif
