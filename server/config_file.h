/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.h — the keys of a config file and their values as texts, whatever it is written in:
 *
 *     JSON   an object, or what is under its key "server"; it begins with '{'
 *     Lua    `return { port = 7637 }`: data; the file's name ends with .lua
 *     INI    the section [server]
 *
 * Any thread.
 */
#ifndef SERVER_CONFIG_FILE_H
#define SERVER_CONFIG_FILE_H

#include "base/error.h"
#include "base/slice.h"

enum {
    CONFIG_FILE_BYTES_MAX = 1 << 20,
    CONFIG_LUA_BYTES_MAX = 16 << 20, /* memory of a file in Lua while it runs */
    CONFIG_LUA_STEPS_MAX = 1000000,
};

/* One key; both texts live for the call.  Returns 0, or -1 with *err. */
typedef int config_take_fn(void *ctx, struct slice key, struct slice value, struct error *err);

/* err  NOT_FOUND, READ_ONLY, IO: the file cannot be read; TOO_LARGE; PARSE: it is none of the
 *      three, or a value is no text, number or flag; what `take` answers */
int config_file_read(const char *path, config_take_fn *take, void *ctx, struct error *err);
/* The same of bytes; `name` tells which of the three, and stands in errors. */
int config_file_parse(const char *name, struct slice text, config_take_fn *take, void *ctx,
                      struct error *err);
/* The first line of a file without what ends it, into `out` with a NUL; its bytes, or -1. */
long config_file_read_line(const char *path, char *out, size_t out_bytes, struct error *err);

#endif
