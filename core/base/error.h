/* SPDX-License-Identifier: Apache-2.0 */
/* error.h — how a function says what went wrong.
 *
 * A function that can fail for a reason outside the program returns int (0, or -1) and takes
 * `struct error *err` last.  err may be NULL.  The struct owns nothing and may be copied by
 * assignment.  There is no thread-local error and no logging where an error is returned.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>

#include "lynse_errors.h"

enum { ERROR_TEXT_BYTES = 240 };

struct error {
    int code;         /* enum lynse_code; 0 = none */
    int os_errno;     /* errno of the failed system call, or 0 */
    const char *file; /* where it was set; static storage */
    int line;
    uint32_t retry_after_ms;     /* when the library itself tries again; 0: never, or unknown */
    char text[ERROR_TEXT_BYTES]; /* one sentence, NUL-terminated, UTF-8, cut at a character */
};

/* Tells the compiler what error_set returns: it then knows which outputs are set on the way on. */
static inline int error_failed(int minus_one)
{
    (void)minus_one;
    return -1;
}

/* Set *err and return -1, so that `return error_set(err, LYNSE_INVALID, "k is %u", k);` reads well.
 * The text names the field, the value and the limit.  Any thread; err == NULL is allowed. */
#define error_set(err, code, ...)                                                                  \
    error_failed(error_set_at((err), (code), 0, __FILE__, __LINE__, __VA_ARGS__))

/* The same for a failed system call; the text of os_errno is appended. */
#define error_set_errno(err, code, os_errno, ...)                                                  \
    error_failed(error_set_at((err), (code), (os_errno), __FILE__, __LINE__, __VA_ARGS__))

int error_set_at(struct error *err, int code, int os_errno, const char *file, int line,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Put context before the text: "rename 'a' to 'b': <old text>".  Keeps the code.  Returns -1. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Control characters of the text become spaces: what others wrote may have lines.  Returns -1. */
int error_on_one_line(struct error *err);

/* Shorthand for the one error that needs no words. */
#define error_no_memory(err, bytes)                                                                \
    error_set((err), LYNSE_NO_MEMORY, "cannot allocate %zu bytes", (size_t)(bytes))

/* The code for an errno of a file operation: ENOSPC/EDQUOT DISK_FULL, ENOENT NOT_FOUND,
 * EROFS/EACCES/EPERM READ_ONLY, ENOMEM NO_MEMORY, EMFILE/ENFILE BUSY, everything else IO. */
int error_code_of_errno(int os_errno);

/* Static strings from the table, "OK" for 0; "unknown" for numbers that are not in it. */
const char *error_name(int code); /* "NOT_FOUND" */
const char *error_sentence(int code);

#endif
