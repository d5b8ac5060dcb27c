/* SPDX-License-Identifier: Apache-2.0 */
/* named_requests.c — lists by a hash of the id.
 *
 * Callers choose the ids, and may choose them so that all are in one list: to add and to remove
 * takes the same time then, and `cancel` looks at as many as are under way, which is bounded.
 */
#include "server/named_requests.h"

#include <string.h>

#include "base/hash.h"
#include "server/request.h"

void named_requests_open(struct named_requests *n)
{
    *n = (struct named_requests){0};
    mutex_init(&n->lock);
}

void named_requests_close(struct named_requests *n)
{
    mutex_deinit(&n->lock);
}

static struct request_name **list_of(struct named_requests *n, const uint8_t *id)
{
    return &n->lists[hash_xxh3_64(id, REQUEST_ID_BYTES) % NAMED_REQUESTS_LISTS];
}

void named_requests_add(struct named_requests *n, struct request_name *name,
                        const uint8_t id[REQUEST_ID_BYTES], struct request *request)
{
    memcpy(name->id, id, sizeof name->id);
    name->request = request;
    name->is_listed = true;
    mutex_lock(&n->lock);
    name->place = list_of(n, id);
    name->next = *name->place;
    if (name->next) name->next->place = &name->next;
    *name->place = name;
    mutex_unlock(&n->lock);
}

void named_requests_remove(struct named_requests *n, struct request_name *name)
{
    if (!name->is_listed) return;
    name->is_listed = false;
    mutex_lock(&n->lock);
    *name->place = name->next;
    if (name->next) name->next->place = name->place;
    mutex_unlock(&n->lock);
}

bool named_requests_cancel(struct named_requests *n, const uint8_t id[REQUEST_ID_BYTES])
{
    bool has_found = false;

    mutex_lock(&n->lock);
    for (struct request_name *name = *list_of(n, id); name; name = name->next) {
        if (memcmp(name->id, id, sizeof name->id) != 0) continue;
        request_cancel(name->request);
        has_found = true;
    }
    mutex_unlock(&n->lock);
    return has_found;
}
