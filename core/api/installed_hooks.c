/* SPDX-License-Identifier: Apache-2.0 */
/* installed_hooks.c — hooks that a collection keeps: set, dropped, listed, taken by searches.
 *
 * WHAT        Setting compiles the source here, so that what is kept did compile, and sends it to
 *             the collection's actor, whose manifest keeps it.  Searches find it in their view.
 *             Where the root was opened since, the first one prepares it, for all.
 * INVARIANTS  (1) What was prepared belongs to the version, and is made once.  How often it was
 *                 late is the host's to know, by its source.
 *             (2) A hook runs trusted only if who set it was, and who runs it is.
 *             (3) No script runs under a lock: two searches may prepare the same, one is kept.
 * THREADS     Any.
 * FAILURE     The host's error of preparing, the actor's of keeping; nothing was changed.
 */
#include "api/handles.h"
#include "base/log.h"

_Static_assert((int)INSTALLED_SOURCE_BYTES_MAX == (int)HOOK_SOURCE_BYTES_MAX, "one limit");
_Static_assert((int)INSTALLED_OPTIONS_BYTES_MAX == (int)HOOK_OPTIONS_BYTES_MAX, "one limit");
_Static_assert((int)LYNSE_HOOK_FAIL == (int)HOOK_POLICY_FAIL, "one number");
_Static_assert((int)LYNSE_HOOK_SKIP == (int)HOOK_POLICY_SKIP, "one number");

static const char *const point_words[HOOK_POINT_COUNT] = {
#define POINT_WORD(name, word) [HOOK_##name] = word,
    HOOK_POINTS(POINT_WORD)
#undef POINT_WORD
};

static int find_point(const char *word, enum hook_point *out, struct error *err)
{
    for (int i = 0; word && i < HOOK_POINT_COUNT; i++) {
        if (strcmp(point_words[i], word) != 0) continue;
        *out = (enum hook_point)i;
        return 0;
    }
    if (!word) return error_set(err, LYNSE_INVALID, "point: missing");
    return error_set(err, LYNSE_INVALID, "point: '%.40s', there are '%s' and '%s'", word,
                     point_words[HOOK_SCORE], point_words[HOOK_RERANK]);
}

static void destroy_prepared(void *prepared)
{
    hook_destroy((struct hook *)prepared);
}

/* What runs it: made now, unless it was already (1). */
static int prepare(struct lynse *db, struct installed_hook *h, enum hook_point point,
                   uint64_t deadline_us, struct hook **out, struct error *err)
{
    const struct hook_desc desc = {
        .point = point,
        .source = h->is.source,
        .options = h->is.options,
        .is_trusted = h->is.is_trusted && db->trusts_scripts, /* (2) */
        .deadline_us = deadline_us,
    };

    *out = (struct hook *)installed_hook_prepared(h);
    if (*out) return 0;
    if (api_prepare_hook(db, &desc, out, err) != 0) return -1;
    *out = (struct hook *)installed_hook_keep(h, *out, destroy_prepared); /* (3) */
    return 0;
}

/* ---- taken by searches ---- */

bool api_skip_installed(struct api_installed *installed, const struct error *why)
{
    struct installed_hook *h = installed->entry;
    bool is_its_own = why->code == LYNSE_HOOK || why->code == LYNSE_PARSE ||
                      why->code == LYNSE_UNSUPPORTED || why->code == LYNSE_NOT_FOUND;

    if (h->is.on_failure != HOOK_POLICY_SKIP || !is_its_own) return false;
    installed->is_skipped = true;
    uint64_t count = installed_hook_count_failure(h);
    if ((count & (count - 1)) == 0)
        log_event(LOG_WARN, "hook_skipped point=%.*s version=%llu count=%llu reason=\"%s\"",
                  (int)h->is.point.size, (const char *)h->is.point.data,
                  (unsigned long long)h->version, (unsigned long long)count, why->text);
    return true;
}

int api_take_installed(struct lynse *db, const struct view *view, enum hook_point point,
                       uint64_t deadline_us, struct api_installed *out, struct error *err)
{
    struct installed_hook *h =
        installed_hooks_find(&view->hooks, slice_of_text(point_words[point]));
    struct error failed = {0};

    *out = (struct api_installed){.entry = h};
    if (!h || h->is.source.size == 0) return 0;
    if (prepare(db, h, point, deadline_us, &out->hook, &failed) == 0) return 0;
    out->hook = NULL;
    if (api_skip_installed(out, &failed)) return 0;
    if (err) *err = failed;
    return error_wrap(err, "installed %s, version %llu", point_words[point],
                      (unsigned long long)h->version);
}

/* ---- set and dropped ---- */

static int check_desc(const struct lynse_hook_desc *d, enum hook_point *out_point,
                      struct error *err)
{
    size_t source_bytes = d->source ? strlen(d->source) : 0;

    if (find_point(d->point, out_point, err) != 0) return -1;
    if (source_bytes == 0) return error_set(err, LYNSE_INVALID, "source: missing");
    if (source_bytes > HOOK_SOURCE_BYTES_MAX)
        return error_set(err, LYNSE_LIMIT, "source: %zu bytes, at most %d", source_bytes,
                         HOOK_SOURCE_BYTES_MAX);
    if (d->on_failure > HOOK_POLICY_MAX)
        return error_set(err, LYNSE_INVALID, "on_failure: %u, at most %d", d->on_failure,
                         HOOK_POLICY_MAX);
    return api_check_options("options", d->options, err);
}

/* The actor keeps a reference of its own; *h has its version then. */
static int send(struct lynse_collection *c, struct installed_hook *h, struct error *err)
{
    struct order_message *m = engine_order(c->db->engine, KIND_SET_HOOK, err);

    if (!m) return -1;
    m->hook = installed_hook_acquire(h);
    return engine_order_host(c->host, m, err);
}

static int set_hook(struct lynse_collection *c, const struct lynse_hook_desc *desc,
                    uint64_t *out_version, struct error *err)
{
    struct lynse_hook_desc d;
    struct installed_hook *h;
    struct hook *prepared;
    enum hook_point point;
    uint64_t deadline_us;

    if (api_copy_desc("desc", &d, sizeof d, desc, desc ? desc->struct_bytes : 0, sizeof d, err) !=
            0 ||
        check_desc(&d, &point, err) != 0 || api_deadline(c->db->engine, 0, &deadline_us, err) != 0)
        return -1;
    const struct installed_hook_desc kept = {
        .point = slice_of_text(point_words[point]),
        .source = slice_of_text(d.source),
        .options = slice_of(d.options.data, d.options.size),
        .on_failure = (uint8_t)d.on_failure,
        .is_trusted = c->db->trusts_scripts,
    };
    if (installed_hook_create(c->db->engine->alloc, &kept, &h, err) != 0) return -1;
    int rc = prepare(c->db, h, point, deadline_us, &prepared, err);
    if (rc == 0) rc = send(c, h, err);
    if (rc == 0 && out_version) *out_version = h->version;
    installed_hook_release(h);
    return rc;
}

int lynse_hook_set(struct lynse_collection *c, const struct lynse_hook_desc *desc,
                   uint64_t *out_version, struct lynse_error *err)
{
    struct error failed = {0};

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0 ||
        set_hook(c, desc, out_version, &failed) != 0)
        return api_fail(&failed, err);
    return LYNSE_OK;
}

int lynse_hook_drop(struct lynse_collection *c, const char *point, struct lynse_error *err)
{
    struct error failed = {0};
    struct installed_hook *none;
    enum hook_point which;

    if (!c) return api_missing("c", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || api_may_wait(__func__, &failed) != 0 || find_point(point, &which, &failed) != 0)
        return api_fail(&failed, err);
    const struct installed_hook_desc empty = {.point = slice_of_text(point_words[which])};
    if (installed_hook_create(c->db->engine->alloc, &empty, &none, &failed) != 0)
        return api_fail(&failed, err);
    int rc = send(c, none, &failed);
    installed_hook_release(none);
    return rc == 0 ? LYNSE_OK : api_fail(&failed, err);
}

/* ---- listed ---- */

struct hook_list {
    struct lynse_hooks base; /* first: what the caller sees */
    struct api_memory *memory;
    struct arena arena;
};

static int add_hook(struct hook_list *list, struct installed_hook *h, struct lynse_hook_info *out)
{
    struct hook *prepared = (struct hook *)installed_hook_prepared(h);
    struct slice options = h->is.options;
    uint8_t *copy = (uint8_t *)arena_alloc(&list->arena, options.size + 1);

    *out = (struct lynse_hook_info){
        .point = arena_copy_text(&list->arena, (const char *)h->is.point.data, h->is.point.size),
        .source = arena_copy_text(&list->arena, (const char *)h->is.source.data, h->is.source.size),
        .options = {options.size > 0 ? copy : NULL, options.size},
        .version = h->version,
        .on_failure = h->is.on_failure,
        .is_trusted = h->is.is_trusted,
        .is_disabled = prepared && hook_is_disabled(prepared),
    };
    if (!out->point || !out->source || !copy) return -1;
    if (options.size > 0) memcpy(copy, options.data, options.size);
    return 0;
}

static int fill_list(struct hook_list *list, const struct installed_hooks *hooks, struct error *err)
{
    struct lynse_hook_info *all =
        (struct lynse_hook_info *)arena_alloc(&list->arena, (hooks->count + 1) * sizeof *all);

    for (size_t i = 0; all && i < hooks->count; i++) {
        if (hooks->list[i]->is.source.size == 0) continue; /* dropped */
        if (add_hook(list, hooks->list[i], &all[list->base.count++]) != 0) all = NULL;
    }
    list->base.hooks = all;
    return all ? 0 : error_no_memory(err, hooks->count * sizeof *all);
}

int lynse_hook_list(struct lynse_collection *c, struct lynse_hooks **out, struct lynse_error *err)
{
    struct error failed = {0};
    struct view *view;

    if (!c) return api_missing("c", err);
    if (!out) return api_missing("out", err);
    API_CALL struct api_child *inside = api_enter(&c->child, &failed);
    if (!inside || engine_view(c->host, &view, &failed) != 0) return api_fail(&failed, err);
    struct alloc *a = c->db->memory->alloc;
    struct hook_list *list = (struct hook_list *)mem_zalloc(a, MEM_GENERAL, sizeof *list);
    if (list) {
        arena_init(&list->arena, a, MEM_GENERAL);
        list->memory = api_memory_acquire(c->db->memory);
    }
    int rc = list ? fill_list(list, &view->hooks, &failed) : error_no_memory(&failed, sizeof *list);
    view_release(view);
    if (rc != 0) {
        if (list) lynse_hooks_free(&list->base);
        return api_fail(&failed, err);
    }
    *out = &list->base;
    return LYNSE_OK;
}

void lynse_hooks_free(struct lynse_hooks *hooks)
{
    struct hook_list *list = (struct hook_list *)hooks;

    if (!list) return;
    struct api_memory *memory = list->memory;
    arena_deinit(&list->arena);
    mem_free(memory->alloc, list);
    api_memory_release(memory);
}
