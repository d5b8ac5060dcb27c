/* SPDX-License-Identifier: Apache-2.0 */
/* log.c — one line at a time to the one sink. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/utf8.h"

enum { MESSAGE_BYTES = 1024 };

/* Process-wide (D11).  Readers share the lock, so that events of several threads do not wait for
 * each other and a sink may log itself; when log_set_sink returns, nobody is in the old sink. */
static pthread_rwlock_t sink_lock = PTHREAD_RWLOCK_INITIALIZER;
static log_sink_fn *sink_function;
static void *sink_ctx;
static enum log_level sink_lowest;

void log_set_sink(log_sink_fn *sink, void *ctx, enum log_level lowest)
{
    CHECK(pthread_rwlock_wrlock(&sink_lock) == 0);
    sink_function = sink;
    sink_ctx = ctx;
    sink_lowest = lowest;
    CHECK(pthread_rwlock_unlock(&sink_lock) == 0);
}

/* One line of valid UTF-8: control characters, which a peer may have sent in a name, become spaces,
 * so that nobody can forge a second line. */
static void make_line(char *message, size_t size)
{
    size = utf8_mend(message, size);
    message[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)message[i] < 0x20 || message[i] == 0x7F) message[i] = ' ';
}

void log_event(enum log_level level, const char *format, ...)
{
    CHECK(pthread_rwlock_rdlock(&sink_lock) == 0);
    if (sink_function && level >= sink_lowest) {
        char message[MESSAGE_BYTES];
        va_list args;
        va_start(args, format);
        int wanted = vsnprintf(message, sizeof message, format, args);
        va_end(args);
        size_t size = wanted < 0 ? 0 : (size_t)wanted;
        make_line(message, size < sizeof message ? size : sizeof message - 1);
        sink_function(sink_ctx, level, message);
    }
    CHECK(pthread_rwlock_unlock(&sink_lock) == 0);
}
