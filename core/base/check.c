/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — what happens when one of our own invariants is broken. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"

/* Process-wide (D11).  Plain, because they are set before the first thread of ours exists. */
static check_panic_fn *panic_hook;
static void *panic_ctx;

/* Set once and never cleared.  Relaxed: it guards no data, it only says "stop". */
static atomic_bool is_poisoned;

void check_set_panic_hook(check_panic_fn *hook, void *ctx)
{
    panic_hook = hook;
    panic_ctx = ctx;
}

bool check_is_poisoned(void)
{
    return atomic_load_relaxed(&is_poisoned);
}

_Noreturn void check_failed(const char *expression, const char *file, int line)
{
    char text[512];
    int size = snprintf(text, sizeof text - 1, "%s:%d: check failed: %s", file, line, expression);
    if (size < 0) text[0] = '\0';
    atomic_store_relaxed(&is_poisoned, true);
    if (panic_hook) panic_hook(text, panic_ctx);

    /* write(2), because stdio's lock may be held by the code that failed. */
    size_t used = strlen(text);
    text[used++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, used);
    (void)ignored;
    abort();
}
