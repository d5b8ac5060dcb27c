/* SPDX-License-Identifier: Apache-2.0 */
/* name_list.h — names in a directory, gathered first and acted on afterwards: nobody says what a
 * listing shows of a directory that changes while it is read.
 *
 * THREADS  One owner.
 */
#ifndef OS_NAME_LIST_H
#define OS_NAME_LIST_H

#include "base/buf.h"
#include "os/vfs.h"

struct name_list {
    struct buf names; /* NUL-terminated, one after the other */
};

/* Is it to be on the list? */
typedef bool name_wanted_fn(void *ctx, const char *name);

void name_list_init(struct name_list *l, struct alloc *a);
void name_list_deinit(struct name_list *l);
/* Add the names of dir that are wanted; is_wanted NULL: all.  On failure (IO, NO_MEMORY) the list
 * has a part of them. */
int name_list_read(struct name_list *l, struct vfs_dir *dir, name_wanted_fn *is_wanted, void *ctx,
                   struct error *err);
/* The name at *at, which moves on to the one behind it; NULL at the end.  Begin with 0. */
const char *name_list_next(const struct name_list *l, size_t *at);
/* Unlink all of them.  One that is gone already is no failure; one that cannot go does not save the
 * others, and the first such error is returned. */
int name_list_unlink(const struct name_list *l, struct vfs_dir *dir, struct error *err);

#endif
