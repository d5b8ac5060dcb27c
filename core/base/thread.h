/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h — threads, mutexes and conditions over pthread; waits use the monotonic clock. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct thread {
    pthread_t handle;
    bool is_started;
};
/* name: at most 15 bytes, shown by the system's tools.  Signals are blocked in the new thread,
 * but for those that report an access or instruction of that thread (SIGBUS, SIGSEGV, ...).
 * err BUSY: the system has no thread to give now. */
int thread_start(struct thread *t, const char *name, void (*run)(void *ctx), void *ctx,
                 struct error *err);
void thread_join(struct thread *t);             /* of a zeroed or joined thread: nothing */
int thread_pin(struct thread *t, unsigned cpu); /* best effort; -1 when refused */
/* From now on the calling thread leaves processors to others that want them: it has a quarter of
 * one where another has three.  From where it stands: a process may have stepped back itself. */
void thread_step_back(void);
/* A number that no other living thread has. */
static inline uintptr_t thread_self(void)
{
    return (uintptr_t)pthread_self();
}

struct mutex {
    pthread_mutex_t handle;
};
struct condition {
    pthread_cond_t handle; /* CLOCK_MONOTONIC */
};
void mutex_init(struct mutex *m);
void mutex_deinit(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
void condition_init(struct condition *c);
void condition_deinit(struct condition *c);
void condition_wait(struct condition *c, struct mutex *m);
/* false when deadline_us (monotonic, clock_system) passed. */
bool condition_wait_until(struct condition *c, struct mutex *m, uint64_t deadline_us);
void condition_signal(struct condition *c);
void condition_broadcast(struct condition *c);

#endif
