/* SPDX-License-Identifier: Apache-2.0 */
/* log_lines.h — the log and the audit trail: a JSON object a line (docs/OPERATIONS.md, Logs).
 *
 *     struct log_line line;
 *     log_line_begin(&line, LOG_WARN, "slow_query");
 *     log_line_number(&line, "request_id", 17);
 *     log_line_end(&line, false);
 *
 * A line is written with one call of the system, so that lines of several threads do not mix, and
 * fits what a pipe takes whole (PIPE_BUF): what is too long is cut.  Where nobody reads the pipe
 * any more lines are dropped and counted; nobody waits.  Any thread, between log_lines_open and
 * log_lines_close.
 */
#ifndef SERVER_LOG_LINES_H
#define SERVER_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/slice.h"

enum { LOG_LINE_BYTES = 4 << 10, LOG_TEXT_BYTES_MAX = 1 << 10 };

struct log_line {
    size_t size;
    char bytes[LOG_LINE_BYTES];
};

/* What the library says goes to stderr from `lowest` on; audit_path NULL: audit lines too.  Main
 * thread.  err IO, READ_ONLY, …: the audit file cannot be opened. */
int log_lines_open(enum log_level lowest, const char *audit_path, struct error *err);
void log_lines_close(void);

void log_line_begin(struct log_line *line, enum log_level level, const char *event);
/* Text from anywhere: control characters are written as \u00XX, what is no UTF-8 as '?'. */
void log_line_text(struct log_line *line, const char *key, struct slice text);
void log_line_number(struct log_line *line, const char *key, uint64_t number);
void log_line_end(struct log_line *line, bool is_audit);
uint64_t log_lines_dropped(void); /* since the process began */

/* `event key=value …` of log_event as fields. */
void log_line_fields(struct log_line *line, enum log_level level, const char *message);

#endif
