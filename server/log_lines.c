/* SPDX-License-Identifier: Apache-2.0 */
/* log_lines.c — lines of JSON out of fields, and out of what log_event was given. */
#include "server/log_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/utf8.h"

/* "}\n" and the quote that closes a text always have room. */
enum { END_BYTES = 8, ESCAPED_BYTES_MAX = 6 };
_Static_assert((int)LOG_LINE_BYTES <= PIPE_BUF, "a pipe that can be written to takes a line whole");

/* Set before other threads run, like the sink of base/log.h. */
static int audit_fd = STDERR_FILENO;
static _Atomic(uint64_t) dropped_count; /* relaxed: a figure for people */

/* ---- Pieces ---- */

static bool put(struct log_line *line, const void *bytes, size_t size)
{
    if (size > LOG_LINE_BYTES - END_BYTES - line->size) return false;
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
    return true;
}

static void put_escaped(struct log_line *line, struct slice text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        char escaped[ESCAPED_BYTES_MAX] = {'\\', (char)byte};
        size_t size = 2;
        if (byte < 0x20 || byte == 0x7f) {
            memcpy(escaped, "\\u00", 4);
            escaped[4] = digits[byte >> 4];
            escaped[5] = digits[byte & 15];
            size = sizeof escaped;
        } else if (byte != '"' && byte != '\\') {
            escaped[0] = (char)byte;
            size = 1;
        }
        if (!put(line, escaped, size)) return;
    }
}

static void put_text(struct log_line *line, struct slice text)
{
    char mended[LOG_TEXT_BYTES_MAX];
    size_t size = text.size < sizeof mended ? text.size : sizeof mended;

    if (size) memcpy(mended, text.data, size);
    size = utf8_mend(mended, size);
    line->bytes[line->size++] = '"';
    put_escaped(line, slice_of(mended, size));
    line->bytes[line->size++] = '"';
}

/* Whether all of `"key":""` and a number fit: what does not is left out whole. */
static bool put_key(struct log_line *line, struct slice key)
{
    if (line->size + key.size * ESCAPED_BYTES_MAX + 40 > LOG_LINE_BYTES - END_BYTES) return false;
    line->bytes[line->size++] = ',';
    put_text(line, key);
    line->bytes[line->size++] = ':';
    return true;
}

void log_line_text(struct log_line *line, const char *key, struct slice text)
{
    if (put_key(line, slice_of_text(key))) put_text(line, text);
}

void log_line_number(struct log_line *line, const char *key, uint64_t number)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);

    if (put_key(line, slice_of_text(key))) put(line, digits, (size_t)size);
}

/* ---- Lines ---- */

static void put_time(struct log_line *line)
{
    int64_t now_us = clock_system()->wall_us(clock_system());
    time_t seconds = (time_t)(now_us / 1000000);
    char text[40];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    size +=
        (size_t)snprintf(text + size, sizeof text - size, ".%03dZ", (int)(now_us / 1000 % 1000));
    put_text(line, slice_of(text, size));
}

static void begin(struct log_line *line, enum log_level level, struct slice event)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};

    line->size = 0;
    put(line, "{\"timestamp\":", 13);
    put_time(line);
    log_line_text(line, "level", slice_of_text(words[level]));
    if (put_key(line, slice_of_text("event"))) put_text(line, event);
}

void log_line_begin(struct log_line *line, enum log_level level, const char *event)
{
    begin(line, level, slice_of_text(event));
}

/* A pipe that is full would make a loop, and all its callers, wait for whoever reads the log. */
static bool would_wait(int fd)
{
    struct pollfd asked = {.fd = fd, .events = POLLOUT};
    return poll(&asked, 1, 0) == 0;
}

uint64_t log_lines_dropped(void)
{
    return atomic_load_relaxed(&dropped_count);
}

void log_line_end(struct log_line *line, bool is_audit)
{
    int fd = is_audit ? audit_fd : STDERR_FILENO;
    size_t done = 0;

    if (would_wait(fd)) {
        atomic_add_relaxed(&dropped_count, 1);
        return;
    }
    memcpy(line->bytes + line->size, "}\n", 2);
    line->size += 2;
    while (done < line->size) {
        ssize_t count = write(fd, line->bytes + done, line->size - done);
        if (count > 0) done += (size_t)count;
        else if (count == 0 || errno != EINTR) return; /* there is nobody to tell */
    }
}

/* ---- What log_event was given ---- */

static bool is_number(struct slice s)
{
    if (s.size == 0 || s.size > 18 || (s.data[0] == '0' && s.size > 1)) return false;
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < '0' || s.data[i] > '9') return false;
    return true;
}

static size_t key_bytes(struct slice s)
{
    size_t i = 0;
    while (i < s.size && ((s.data[i] >= 'a' && s.data[i] <= 'z') || s.data[i] == '_' ||
                          (i > 0 && s.data[i] >= '0' && s.data[i] <= '9')))
        i++;
    return i < s.size && s.data[i] == '=' ? i : 0;
}

/* Bytes of a value up to its quote: the one behind which the line ends or a next key stands, as
 * quotes within are not marked. */
static size_t quoted_bytes(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] != '"') continue;
        if (i + 1 == s.size) return i;
        if (s.data[i + 1] == ' ' && key_bytes(slice_of(s.data + i + 2, s.size - i - 2))) return i;
    }
    return s.size;
}

static size_t word_bytes(struct slice s)
{
    const uint8_t *end = memchr(s.data, ' ', s.size);
    return end ? (size_t)(end - s.data) : s.size;
}

static struct slice behind(struct slice s, size_t bytes)
{
    if (bytes > s.size) bytes = s.size;
    return slice_of(s.data + bytes, s.size - bytes);
}

void log_line_fields(struct log_line *line, enum log_level level, const char *message)
{
    struct slice rest = slice_of_text(message);
    size_t size = word_bytes(rest);

    begin(line, level, slice_of(rest.data, size));
    rest = behind(rest, size + 1);
    while (rest.size) {
        struct slice key = slice_of(rest.data, key_bytes(rest)), value;
        if (!key.size) {
            log_line_text(line, "text", rest);
            return;
        }
        rest = behind(rest, key.size + 1);
        bool is_quoted = rest.size && rest.data[0] == '"';
        if (is_quoted) rest = behind(rest, 1);
        value = slice_of(rest.data, is_quoted ? quoted_bytes(rest) : word_bytes(rest));
        rest = behind(rest, value.size + (is_quoted ? 2 : 1));
        if (!put_key(line, key)) return;
        if (is_quoted || !is_number(value)) put_text(line, value);
        else put(line, value.data, value.size);
    }
}

static void take_event(void *ctx, enum log_level level, const char *message)
{
    struct log_line line;

    (void)ctx;
    log_line_fields(&line, level, message);
    log_line_end(&line, false);
}

int log_lines_open(enum log_level lowest, const char *audit_path, struct error *err)
{
    if (audit_path) {
        int fd = open(audit_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0)
            return error_set_errno(err, error_code_of_errno(errno), errno, "audit_log_file: %s",
                                   audit_path);
        audit_fd = fd;
    }
    log_set_sink(take_event, NULL, lowest);
    return 0;
}

void log_lines_close(void)
{
    log_set_sink(NULL, NULL, LOG_ERROR);
    if (audit_fd != STDERR_FILENO) close(audit_fd);
    audit_fd = STDERR_FILENO;
}
