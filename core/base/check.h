/* SPDX-License-Identifier: Apache-2.0 */
/* check.h — asserts on our own invariants, never on what a file, a peer or a caller sends.
 *
 * CHECK stays in release builds.  CHECK_SLOW is for debug builds (LYNSE_DEBUG).  A failed check
 * marks the process's engine as poisoned (check_is_poisoned) and calls the panic hook, which must
 * not return (it may longjmp or end the thread); without a hook, or when the hook returns, the
 * process logs one line to stderr and aborts.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>

typedef void check_panic_fn(const char *text, void *ctx);

/* Process-wide (architecture D11).  Any thread, before the first database is opened. */
void check_set_panic_hook(check_panic_fn *hook, void *ctx);
bool check_is_poisoned(void);

_Noreturn void check_failed(const char *expression, const char *file, int line);

#define CHECK(expression)                                                                          \
    (__builtin_expect(!!(expression), 1) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))
#ifdef LYNSE_DEBUG
#define CHECK_SLOW(expression) CHECK(expression)
#else
#define CHECK_SLOW(expression) ((void)sizeof(!!(expression)))
#endif
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)

#endif
