/* SPDX-License-Identifier: Apache-2.0 */
/* installed_hook.c — a hook that a collection keeps.
 *
 * WHAT        One block for what the manifest says.  What runs it is made by whoever searches
 *             first, kept here for all who come after, and ends with the last view or manifest
 *             that names the hook.
 * LAYOUT      FORMAT.md 5, HOOK.
 * INVARIANTS  (1) One entry a point, dropped ones too: their versions are counted on.
 *             (2) Decoder and encoder hold the same rules (installed_hooks_check).
 * THREADS     Any; counts and what was prepared are the mutex's.
 * FAILURE     NO_MEMORY of creating one; nothing else can fail.
 */
#include "store/installed_hook.h"

#include "base/bytes.h"
#include "base/check.h"

enum { FLAG_TRUSTED = 1, FLAGS_KNOWN = FLAG_TRUSTED };

int installed_hook_create(struct alloc *a, const struct installed_hook_desc *desc,
                          struct installed_hook **out, struct error *err)
{
    size_t bytes =
        sizeof(struct installed_hook) + desc->point.size + desc->source.size + desc->options.size;
    struct installed_hook *h = (struct installed_hook *)mem_zalloc(a, MEM_GENERAL, bytes);

    if (!h) return error_no_memory(err, bytes);
    h->alloc = a;
    h->is = *desc;
    h->reference_count = 1;
    mutex_init(&h->mutex);
    struct slice *parts[] = {&h->is.point, &h->is.source, &h->is.options};
    uint8_t *at = h->bytes;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i]->size > 0) memcpy(at, parts[i]->data, parts[i]->size);
        parts[i]->data = at;
        at += parts[i]->size;
    }
    *out = h;
    return 0;
}

struct installed_hook *installed_hook_acquire(struct installed_hook *h)
{
    mutex_lock(&h->mutex);
    h->reference_count++;
    mutex_unlock(&h->mutex);
    return h;
}

void installed_hook_release(struct installed_hook *h)
{
    if (!h) return;
    mutex_lock(&h->mutex);
    CHECK(h->reference_count > 0);
    bool is_last = --h->reference_count == 0;
    mutex_unlock(&h->mutex);
    if (!is_last) return;
    if (h->prepared) h->destroy_prepared(h->prepared);
    mutex_deinit(&h->mutex);
    mem_free(h->alloc, h);
}

void *installed_hook_prepared(struct installed_hook *h)
{
    mutex_lock(&h->mutex);
    void *prepared = h->prepared;
    mutex_unlock(&h->mutex);
    return prepared;
}

void *installed_hook_keep(struct installed_hook *h, void *take_prepared,
                          void (*destroy)(void *prepared))
{
    mutex_lock(&h->mutex);
    bool is_first = !h->prepared;
    if (is_first) {
        h->prepared = take_prepared;
        h->destroy_prepared = destroy;
    }
    void *kept = h->prepared;
    mutex_unlock(&h->mutex);
    if (!is_first) destroy(take_prepared);
    return kept;
}

uint64_t installed_hook_count_failure(struct installed_hook *h)
{
    mutex_lock(&h->mutex);
    uint64_t count = ++h->failure_count;
    mutex_unlock(&h->mutex);
    return count;
}

/* ---- those of a collection ---- */

void installed_hooks_acquire(struct installed_hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++) installed_hook_acquire(hooks->list[i]);
}

void installed_hooks_release(struct installed_hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++) installed_hook_release(hooks->list[i]);
    *hooks = (struct installed_hooks){0};
}

struct installed_hook *installed_hooks_find(const struct installed_hooks *hooks, struct slice point)
{
    for (size_t i = 0; i < hooks->count; i++)
        if (slice_equal(hooks->list[i]->is.point, point)) return hooks->list[i];
    return NULL;
}

int installed_hooks_put(struct installed_hooks *hooks, struct installed_hook *take_h,
                        struct error *err)
{
    for (size_t i = 0; i < hooks->count; i++) {
        if (!slice_equal(hooks->list[i]->is.point, take_h->is.point)) continue;
        installed_hook_release(hooks->list[i]);
        hooks->list[i] = take_h; /* (1) */
        return 0;
    }
    if (hooks->count == INSTALLED_HOOKS_MAX)
        return error_set(err, LYNSE_LIMIT, "hooks: %zu points, at most %d", hooks->count + 1,
                         INSTALLED_HOOKS_MAX);
    hooks->list[hooks->count++] = take_h;
    return 0;
}

const char *installed_hooks_check(const struct installed_hooks *hooks, size_t index)
{
    const struct installed_hook *h = hooks->list[index];

    if (h->version == 0) return "has no version";
    if (h->is.point.size < 1 || h->is.point.size > INSTALLED_POINT_BYTES_MAX)
        return "has an impossible point";
    if (h->is.source.size > INSTALLED_SOURCE_BYTES_MAX) return "has too long a source";
    if (h->is.options.size > INSTALLED_OPTIONS_BYTES_MAX) return "has too long options";
    if (h->is.on_failure > HOOK_POLICY_MAX) return "has an unknown policy of failure";
    if (h->is.source.size == 0 && h->is.options.size > 0) return "was dropped and has options";
    if (h->is.source.size > 0 && memchr(h->is.source.data, '\0', h->is.source.size))
        return "has a NUL in its source";
    if (installed_hooks_find(hooks, h->is.point) != h) return "stands there twice"; /* (1) */
    return NULL;
}

/* ---- bytes ---- */

void installed_hook_encode(const struct installed_hook *h, struct buf *out)
{
    buf_append_u64(out, h->version);
    buf_append_u8(out, h->is.is_trusted ? FLAG_TRUSTED : 0);
    buf_append_u8(out, h->is.on_failure);
    buf_append_u8(out, (uint8_t)h->is.point.size);
    buf_append_zeros(out, 1);
    buf_append_u32(out, (uint32_t)h->is.source.size);
    buf_append_u32(out, (uint32_t)h->is.options.size);
    buf_append(out, h->is.point.data, h->is.point.size);
    buf_append(out, h->is.source.data, h->is.source.size);
    buf_append(out, h->is.options.data, h->is.options.size);
}

int installed_hook_decode(struct alloc *a, struct reader *r, struct installed_hook **out,
                          struct error *err)
{
    struct installed_hook_desc desc = {0};
    uint64_t version = 0;
    uint32_t source_bytes = 0, options_bytes = 0;
    uint8_t flags = 0, point_bytes = 0, reserved = 0;

    read_u64(r, &version);
    read_u8(r, &flags);
    read_u8(r, &desc.on_failure);
    read_u8(r, &point_bytes);
    read_u8(r, &reserved);
    read_u32(r, &source_bytes);
    read_u32(r, &options_bytes);
    desc.is_trusted = flags & FLAG_TRUSTED;
    desc.point = reader_take(r, point_bytes);
    desc.source = reader_take(r, source_bytes);
    desc.options = reader_take(r, options_bytes);
    if (r->failed || reader_left(r) != 0 || (flags & ~FLAGS_KNOWN) || reserved != 0) return -1;
    if (installed_hook_create(a, &desc, out, err) != 0) return -1;
    (*out)->version = version;
    return 0;
}
