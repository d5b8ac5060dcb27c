/* SPDX-License-Identifier: Apache-2.0 */
/* thread_mark.c — did this program start a thread?  Test programs are linked with
 * --wrap=pthread_create, so that whatever starts one comes by here, and makes the file that
 * LYNSE_TEST_THREAD_MARK names.  tools/run_tests.py looks for it: where there was none,
 * ThreadSanitizer has nothing to see. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef void *thread_fn(void *ctx);
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, thread_fn *run, void *ctx);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, thread_fn *run, void *ctx);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, thread_fn *run, void *ctx)
{
    const char *path = getenv("LYNSE_TEST_THREAD_MARK");
    int fd = path ? open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) close(fd);
    return __real_pthread_create(out, attr, run, ctx);
}
