/* SPDX-License-Identifier: Apache-2.0 */
/* error.c — texts of errors, always valid UTF-8, always whole. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Format into text[0..size), mended and cut at a character; returns the bytes without the NUL. */
static size_t format_text(char *text, size_t size, const char *format, va_list args)
{
    int wanted = vsnprintf(text, size, format, args);
    size_t used = wanted < 0 ? 0 : (size_t)wanted < size ? (size_t)wanted : size - 1;
    used = utf8_mend(text, used);
    text[used] = '\0';
    return used;
}

/* In English in every locale: the text goes into logs and over the wire, and a translated one need
 * not be UTF-8. */
static const char *describe_errno(int os_errno, char *scratch, size_t size)
{
#ifdef __GLIBC__
    const char *text = strerrordesc_np(os_errno);
    if (text) return text;
#else
    if (strerror_r(os_errno, scratch, size) == 0) return scratch;
#endif
    snprintf(scratch, size, "errno %d", os_errno);
    return scratch;
}

int error_set_at(struct error *err, int code, int os_errno, const char *file, int line,
                 const char *format, ...)
{
    if (!err) return -1;
    char reason[80] = "";
    if (os_errno != 0) {
        char scratch[64];
        snprintf(reason, sizeof reason, ": %s", describe_errno(os_errno, scratch, sizeof scratch));
    }
    size_t reason_bytes = strlen(reason);

    /* Built aside, because the arguments may point into err->text.  The reason keeps its room: a
     * long path must not push it out. */
    struct error next = {.code = code, .os_errno = os_errno, .file = file, .line = line};
    va_list args;
    va_start(args, format);
    size_t used = format_text(next.text, sizeof next.text - reason_bytes, format, args);
    va_end(args);
    memcpy(next.text + used, reason, reason_bytes + 1);
    *err = next;
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err) return -1;
    char context[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    format_text(context, sizeof context, format, args);
    va_end(args);

    char text[ERROR_TEXT_BYTES];
    int wanted = snprintf(text, sizeof text, "%s: %s", context, err->text);
    size_t used = wanted < (int)sizeof text ? (size_t)wanted : sizeof text - 1;
    used = utf8_mend(text, used);
    text[used] = '\0';
    memcpy(err->text, text, used + 1);
    return -1;
}

int error_on_one_line(struct error *err)
{
    for (char *at = err->text; *at; at++)
        if ((unsigned char)*at < 32 || *at == 127) *at = ' ';
    return -1;
}

int error_code_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return LYNSE_DISK_FULL;
    case ENOENT:
        return LYNSE_NOT_FOUND;
    case EROFS:
    case EACCES:
    case EPERM:
        return LYNSE_READ_ONLY;
    case ENOMEM:
        return LYNSE_NO_MEMORY;
    case EMFILE:
    case ENFILE:
        return LYNSE_BUSY;
    default:
        return LYNSE_IO;
    }
}

const char *error_name(int code)
{
    switch (code) {
    case LYNSE_OK:
        return "OK";
#define ERROR_NAME(name, number, http, wire, sentence)                                             \
    case number:                                                                                   \
        return #name;
        LYNSE_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    default:
        return "unknown";
    }
}

const char *error_sentence(int code)
{
    switch (code) {
#define ERROR_SENTENCE(name, number, http, wire, sentence)                                         \
    case number:                                                                                   \
        return sentence;
        LYNSE_ERRORS(ERROR_SENTENCE)
#undef ERROR_SENTENCE
    default:
        return "unknown";
    }
}
