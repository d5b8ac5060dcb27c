/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c — pthread, with every misuse of a lock turned into a failed check. */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"

enum { NAME_BYTES = 16 };

struct start {
    void (*run)(void *ctx);
    void *ctx;
    char name[NAME_BYTES];
};

static void *run_thread(void *arg)
{
    struct start s = *(struct start *)arg;
    mem_free(alloc_libc(), arg);
    (void)pthread_setname_np(pthread_self(), s.name); /* a name is a comfort, not a promise */
    s.run(s.ctx);
    return NULL;
}

/* All signals are the host's, save those that report an access of this very thread: blocked, they
 * would end the process before the host's handler is asked. */
static void block_signals(sigset_t *out_old)
{
    static const int synchronous[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
        sigdelset(&all, synchronous[i]);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, out_old) == 0);
}

int thread_start(struct thread *t, const char *name, void (*run)(void *ctx), void *ctx,
                 struct error *err)
{
    struct start *s = (struct start *)mem_alloc(alloc_libc(), MEM_GENERAL, sizeof *s);
    if (!s) return error_no_memory(err, sizeof *s);
    *s = (struct start){.run = run, .ctx = ctx};
    snprintf(s->name, sizeof s->name, "%s", name);

    /* A new thread inherits the mask: there is no moment in which a signal could reach it. */
    sigset_t old;
    block_signals(&old);
    int os_errno = pthread_create(&t->handle, NULL, run_thread, s);
    CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (os_errno != 0) {
        mem_free(alloc_libc(), s);
        int code = os_errno == ENOMEM ? LYNSE_NO_MEMORY : LYNSE_BUSY;
        return error_set_errno(err, code, os_errno, "start thread '%s'", name);
    }
    t->is_started = true;
    return 0;
}

void thread_join(struct thread *t)
{
    if (!t->is_started) return;
    CHECK(pthread_join(t->handle, NULL) == 0);
    t->is_started = false;
}

void thread_step_back(void)
{
    /* Linux takes the number of a thread; 0 is the calling one.  Refused: it stays as it is. */
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 5);
}

int thread_pin(struct thread *t, unsigned cpu)
{
    if (!t->is_started || cpu >= CPU_SETSIZE) return -1;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return pthread_setaffinity_np(t->handle, sizeof set, &set) == 0 ? 0 : -1;
}

void mutex_init(struct mutex *m)
{
    pthread_mutexattr_t attr;
    CHECK(pthread_mutexattr_init(&attr) == 0);
#ifdef LYNSE_DEBUG
    CHECK(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
#endif
    CHECK(pthread_mutex_init(&m->handle, &attr) == 0);
    pthread_mutexattr_destroy(&attr);
}

void mutex_deinit(struct mutex *m)
{
    CHECK(pthread_mutex_destroy(&m->handle) == 0);
}

void mutex_lock(struct mutex *m)
{
    CHECK(pthread_mutex_lock(&m->handle) == 0);
}

void mutex_unlock(struct mutex *m)
{
    CHECK(pthread_mutex_unlock(&m->handle) == 0);
}

void condition_init(struct condition *c)
{
    pthread_condattr_t attr;
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&c->handle, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void condition_deinit(struct condition *c)
{
    CHECK(pthread_cond_destroy(&c->handle) == 0);
}

void condition_wait(struct condition *c, struct mutex *m)
{
    CHECK(pthread_cond_wait(&c->handle, &m->handle) == 0);
}

bool condition_wait_until(struct condition *c, struct mutex *m, uint64_t deadline_us)
{
    struct timespec t = {.tv_sec = (time_t)(deadline_us / 1000000),
                         .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    int rc = pthread_cond_timedwait(&c->handle, &m->handle, &t);
    CHECK(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void condition_signal(struct condition *c)
{
    CHECK(pthread_cond_signal(&c->handle) == 0);
}

void condition_broadcast(struct condition *c)
{
    CHECK(pthread_cond_broadcast(&c->handle) == 0);
}
