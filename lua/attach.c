/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lua/hooks.h"
#include "lynse_lua.h"

static int create_host(const void *ctx, void *alloc, const void *clock, void **out_host, void *err)
{
    const struct lynse_lua_desc *given = ctx;
    const struct lua_host_desc desc = {.alloc = (struct alloc *)alloc,
                                       .clock = (const struct clock *)clock,
                                       .scripts_dir = given->scripts_dir};
    struct hook_host *host = NULL;

    if (lua_host_create(&desc, &host, (struct error *)err) != 0) return -1;
    *out_host = host;
    return 0;
}

enum { DESC_BYTES_MAX = 1024 }; /* a size beyond is garbage and must not be read */

static void destroy_host(void *host)
{
    lua_host_destroy((struct hook_host *)host);
}

static int refuse(const struct error *failed, struct lynse_error *err)
{
    if (err) {
        memset(err, 0, sizeof *err);
        err->code = failed->code;
        memcpy(err->text, failed->text,
               sizeof err->text < sizeof failed->text ? sizeof err->text : sizeof failed->text);
        err->text[sizeof err->text - 1] = '\0';
    }
    return failed->code;
}

static int copy_desc(const struct lynse_lua_desc *desc, struct lynse_lua_desc *out,
                     struct error *err)
{
    *out = (struct lynse_lua_desc){0};
    if (!desc) return 0;
    size_t bytes = desc->struct_bytes ? desc->struct_bytes : sizeof *desc;
    if (bytes < sizeof *desc || bytes > DESC_BYTES_MAX)
        return error_set(err, LYNSE_INVALID, "desc: struct_bytes is %u, allowed are %zu to %d",
                         desc->struct_bytes, sizeof *desc, DESC_BYTES_MAX);
    for (size_t i = sizeof *desc; i < bytes; i++)
        if (((const uint8_t *)desc)[i] != 0)
            return error_set(err, LYNSE_UNSUPPORTED,
                             "desc: has members that this version of the library does not know");
    *out = *desc;
    return 0;
}

int lynse_lua_attach_with(struct lynse *db, const struct lynse_lua_desc *desc,
                          struct lynse_error *err)
{
    struct lynse_lua_desc copy;
    struct error failed = {0};

    /* The allocator and the tables of hook.h are shared as they lie in memory. */
    if (strcmp(lynse_version(), LYNSE_LUA_VERSION) != 0) {
        error_set(&failed, LYNSE_UNSUPPORTED,
                  "liblynse is %s, liblynse-lua %s: they must be the same", lynse_version(),
                  LYNSE_LUA_VERSION);
        return refuse(&failed, err);
    }
    if (copy_desc(desc, &copy, &failed) != 0) return refuse(&failed, err);
    const struct lynse_hook_host_ops ops = {create_host, destroy_host, &copy};
    return lynse_attach_hook_host(db, &ops, err);
}

int lynse_lua_attach(struct lynse *db, struct lynse_error *err)
{
    return lynse_lua_attach_with(db, NULL, err);
}
