/* SPDX-License-Identifier: Apache-2.0 */
/* fork_registry.h — a forked child must not use, nor keep locked, a database of its parent (L2).
 *
 * Descriptors of LOCK files are registered; pthread_atfork closes them in the child, which drops
 * the inherited lock reference.  Any call from another pid answers FORKED.
 */
#ifndef OS_FORK_REGISTRY_H
#define OS_FORK_REGISTRY_H

#include "base/error.h"

/* Remember fd until forget; at most 64 at once (LIMIT beyond). Any thread. */
int fork_registry_add(int fd, struct error *err);
void fork_registry_remove(int fd);
/* 0, or -1 with FORKED when this process is not `opener_pid`'s (getpid() at open). */
int fork_check(int opener_pid, struct error *err);

#endif
