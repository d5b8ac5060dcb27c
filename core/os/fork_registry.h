/* SPDX-License-Identifier: Apache-2.0 */
/* fork_registry.h — a forked child must not use, nor keep locked, a database of its parent (L2).
 *
 * An OFD lock belongs to the open file description, which a fork shares: a child that lives on
 * would hold the lock of a parent that is gone.  So descriptors that carry locks are registered
 * (vfs_posix.c does it), and a pthread_atfork handler closes them in the child.
 *
 * fork_registry_hold keeps every fork of this process waiting, so that opening and registering,
 * or forgetting and closing, are one step to it.  Hold for that long only; never twice.
 */
#ifndef OS_FORK_REGISTRY_H
#define OS_FORK_REGISTRY_H

#include <stdbool.h>

#include "base/error.h"

enum { FORK_REGISTRY_SLOTS = 256 };

/* Any thread. */
void fork_registry_hold(void);
void fork_registry_release(void);

/* Close fd in a forked child.  owner: any address unique to it, to find it again.
 * LIMIT beyond FORK_REGISTRY_SLOTS; NO_MEMORY.  The caller holds. */
int fork_registry_add(int fd, const void *owner, struct error *err);
/* false: it is not there (any more): this is a child, and the descriptor is closed already.
 * The caller holds. */
bool fork_registry_remove(const void *owner);

/* 0, or -1 with FORKED when this process is not `opener_pid`'s (getpid() at open). */
int fork_check(int opener_pid, struct error *err);

#endif
