/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fork_registry.h"

#include <stddef.h>
#include <unistd.h>

#include "base/check.h"
#include "base/thread.h"

struct fork_slot {
    const void *owner; /* NULL: free */
    int fd;
};

/* Held across every fork by the handlers, so that the child finds a table nobody is changing. */
static struct mutex registry_mutex = {PTHREAD_MUTEX_INITIALIZER};
static struct fork_slot slots[FORK_REGISTRY_SLOTS];
static bool handlers_are_set;

static void on_fork(void)
{
    mutex_lock(&registry_mutex);
}

static void on_fork_parent(void)
{
    mutex_unlock(&registry_mutex);
}

/* Only one thread is left, and only async-signal-safe calls are allowed. */
static void on_fork_child(void)
{
    for (size_t i = 0; i < FORK_REGISTRY_SLOTS; i++) {
        if (!slots[i].owner) continue;
        (void)close(slots[i].fd); /* the parent still has it: nothing can be lost */
        slots[i].owner = NULL;
    }
    mutex_unlock(&registry_mutex);
}

void fork_registry_hold(void)
{
    mutex_lock(&registry_mutex);
}

void fork_registry_release(void)
{
    mutex_unlock(&registry_mutex);
}

int fork_registry_add(int fd, const void *owner, struct error *err)
{
    CHECK(fd >= 0 && owner != NULL);
    if (!handlers_are_set) {
        int rc = pthread_atfork(on_fork, on_fork_parent, on_fork_child);
        if (rc != 0)
            return error_set_errno(err, LYNSE_NO_MEMORY, rc, "cannot install the fork handlers");
        handlers_are_set = true;
    }
    for (size_t i = 0; i < FORK_REGISTRY_SLOTS; i++) {
        if (slots[i].owner) continue;
        slots[i] = (struct fork_slot){owner, fd};
        return 0;
    }
    return error_set(err, LYNSE_LIMIT, "%d files with locks are open in this process, the limit",
                     FORK_REGISTRY_SLOTS);
}

bool fork_registry_remove(const void *owner)
{
    for (size_t i = 0; i < FORK_REGISTRY_SLOTS; i++) {
        if (slots[i].owner != owner) continue;
        slots[i].owner = NULL;
        return true;
    }
    return false;
}

int fork_check(int opener_pid, struct error *err)
{
    int pid = (int)getpid();
    if (pid == opener_pid) return 0;
    return error_set(err, LYNSE_FORKED,
                     "opened by process %d and used in its forked child %d; open it after the fork",
                     opener_pid, pid);
}
