/* SPDX-License-Identifier: Apache-2.0 */
#include "server/opened_names.h"

#include <string.h>

#include "base/alloc.h"

int opened_names_open(struct opened_names *o)
{
    *o = (struct opened_names){0};
    return uv_mutex_init(&o->lock);
}

void opened_names_close(struct opened_names *o)
{
    mem_free(alloc_libc(), o->names);
    o->names = NULL;
    uv_mutex_destroy(&o->lock);
}

static size_t place_of(const struct opened_names *o, const char *name)
{
    size_t i = 0;
    while (i < o->count && strcmp(o->names[i].text, name) != 0) i++;
    return i;
}

static bool has_room(struct opened_names *o)
{
    if (o->count < o->capacity) return true;
    size_t capacity = o->capacity ? o->capacity * 2 : 16;
    struct opened_name *grown =
        mem_resize(alloc_libc(), MEM_GENERAL, o->names, capacity * sizeof *grown);
    if (!grown) return false;
    o->names = grown;
    o->capacity = capacity;
    return true;
}

void opened_names_add(struct opened_names *o, const char *name)
{
    size_t size = strlen(name);

    if (size >= sizeof o->names->text) return;
    uv_mutex_lock(&o->lock);
    if (place_of(o, name) == o->count && o->count < OPENED_NAMES_MAX && has_room(o))
        memcpy(o->names[o->count++].text, name, size + 1);
    uv_mutex_unlock(&o->lock);
}

void opened_names_remove(struct opened_names *o, const char *name)
{
    uv_mutex_lock(&o->lock);
    size_t at = place_of(o, name);
    if (at < o->count) o->names[at] = o->names[--o->count];
    uv_mutex_unlock(&o->lock);
}

void opened_names_remove_of(struct opened_names *o, const char *database)
{
    size_t size = strlen(database);

    uv_mutex_lock(&o->lock);
    for (size_t i = o->count; i-- > 0;)
        if (strncmp(o->names[i].text, database, size) == 0 && o->names[i].text[size] == '/')
            o->names[i] = o->names[--o->count];
    uv_mutex_unlock(&o->lock);
}

bool opened_names_has(struct opened_names *o, const char *name)
{
    uv_mutex_lock(&o->lock);
    bool has_it = place_of(o, name) < o->count;
    uv_mutex_unlock(&o->lock);
    return has_it;
}

size_t opened_names_count(struct opened_names *o)
{
    uv_mutex_lock(&o->lock);
    size_t count = o->count;
    uv_mutex_unlock(&o->lock);
    return count;
}

int opened_names_at(struct opened_names *o, size_t i, struct opened_name *out)
{
    uv_mutex_lock(&o->lock);
    int rc = i < o->count ? 0 : -1;
    if (rc == 0) *out = o->names[i];
    uv_mutex_unlock(&o->lock);
    return rc;
}
