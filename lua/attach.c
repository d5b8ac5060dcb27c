/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lua/hooks.h"
#include "lynse_lua.h"

static int create_host(void *alloc, const void *clock, void **out_host, void *err)
{
    const struct lua_host_desc desc = {.alloc = (struct alloc *)alloc,
                                       .clock = (const struct clock *)clock};
    struct hook_host *host = NULL;

    if (lua_host_create(&desc, &host, (struct error *)err) != 0) return -1;
    *out_host = host;
    return 0;
}

static void destroy_host(void *host)
{
    lua_host_destroy((struct hook_host *)host);
}

/* The allocator and the tables of hook.h are shared as they lie in memory. */
static int refuse_version(struct lynse_error *err)
{
    struct error failed = {0};

    error_set(&failed, LYNSE_UNSUPPORTED, "liblynse is %s, liblynse-lua %s: they must be the same",
              lynse_version(), LYNSE_LUA_VERSION);
    if (err) {
        memset(err, 0, sizeof *err);
        err->code = failed.code;
        memcpy(err->text, failed.text,
               sizeof err->text < sizeof failed.text ? sizeof err->text : sizeof failed.text);
        err->text[sizeof err->text - 1] = '\0';
    }
    return failed.code;
}

int lynse_lua_attach(struct lynse *db, struct lynse_error *err)
{
    static const struct lynse_hook_host_ops ops = {create_host, destroy_host};

    if (strcmp(lynse_version(), LYNSE_LUA_VERSION) != 0) return refuse_version(err);
    return lynse_attach_hook_host(db, &ops, err);
}
