/* SPDX-License-Identifier: Apache-2.0 */
/* lynse_errors.h — the one table of errors, for every language.
 *
 * Each line: name, number, HTTP status, code string on the wire, sentence.
 * Numbers never change and are never reused; a new error is one new line at the end.
 * The enum below, the HTTP statuses, the Lua constants, the Python exceptions and
 * docs/ERRORS.md are all made from this table.
 */
#ifndef LYNSE_ERRORS_H
#define LYNSE_ERRORS_H

#define LYNSE_ERRORS(_)                                                                            \
    _(INVALID, 1, 400, "invalid_argument", "invalid argument")                                     \
    _(DIMENSION, 2, 400, "invalid_argument", "dimension mismatch")                                 \
    _(PARSE, 3, 400, "invalid_argument", "cannot be parsed")                                       \
    _(NOT_FOUND, 4, 404, "not_found", "not found")                                                 \
    _(ALREADY_EXISTS, 5, 409, "already_exists", "already exists")                                  \
    _(DUPLICATE_ID, 6, 400, "invalid_argument", "duplicate id")                                    \
    _(READ_ONLY, 7, 403, "read_only", "read-only")                                                 \
    _(LOCKED, 8, 409, "locked", "locked by another writer")                                        \
    _(LIMIT, 9, 400, "invalid_argument", "over a limit")                                           \
    _(TOO_LARGE, 10, 413, "too_large", "too large")                                                \
    _(BUSY, 11, 503, "busy", "busy, try again")                                                    \
    _(DEADLINE, 12, 504, "deadline", "deadline passed")                                            \
    _(CANCELLED, 13, 499, "cancelled", "cancelled")                                                \
    _(SHUTTING_DOWN, 14, 503, "shutting_down", "shutting down")                                    \
    _(OUTCOME_UNKNOWN, 15, 500, "outcome_unknown", "outcome unknown")                              \
    _(DISK_FULL, 16, 507, "disk_full", "disk full")                                                \
    _(IO, 17, 500, "internal_error", "input/output error")                                         \
    _(CORRUPT, 18, 500, "internal_error", "data is damaged")                                       \
    _(FORMAT_TOO_NEW, 19, 500, "format_too_new", "written by a newer version")                     \
    _(NO_MEMORY, 20, 503, "no_memory", "out of memory")                                            \
    _(FORKED, 21, 500, "forked", "used in a forked child")                                         \
    _(HOOK, 22, 422, "hook", "hook failed")                                                        \
    _(UNSUPPORTED, 23, 501, "unsupported", "not supported")                                        \
    _(UNAUTHORIZED, 24, 401, "unauthorized", "not authorized")                                     \
    _(INTERNAL, 25, 500, "internal_error", "internal error")

enum lynse_code {
    LYNSE_OK = 0,
#define LYNSE_ERRORS_ENUM(name, number, http, code, text) LYNSE_##name = number,
    LYNSE_ERRORS(LYNSE_ERRORS_ENUM)
#undef LYNSE_ERRORS_ENUM
};

#endif
