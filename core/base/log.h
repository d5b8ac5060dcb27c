/* SPDX-License-Identifier: Apache-2.0 */
/* log.h — levels and one injected sink; silent without one.  The library never prints. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* message: one line without newline, `event key=value …`, values quoted where they hold spaces. */
typedef void log_sink_fn(void *ctx, enum log_level level, const char *message);

/* Process-wide (architecture D11); any thread.  sink NULL = silent.  The sink is called from the
 * threads that log, several at once; it may log itself but not call log_set_sink.  When this
 * returns, no thread is in the old sink. */
void log_set_sink(log_sink_fn *sink, void *ctx, enum log_level lowest);
void log_event(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
