/* SPDX-License-Identifier: Apache-2.0 */
/* tsan_close.c — lets ThreadSanitizer see that libuv closes a descriptor.
 *
 * libuv closes by a bare system call, which no interceptor sees; whoever is given the same number
 * next, on another thread, then looks like a race with the socket's last read.  Linked into the
 * program in builds with that sanitizer, before the C library's syscall.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) long syscall(long number, ...)
{
    static long (*next)(long, ...);
    long a[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_close) return close((int)a[0]);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
