/* SPDX-License-Identifier: Apache-2.0 */
/* opened_names.h — the collections that callers have opened, for the metrics of any loop.
 *
 * Written when a collection is opened, which is once for a loop and not once for a request.  Any
 * thread; a lock inside.
 */
#ifndef SERVER_OPENED_NAMES_H
#define SERVER_OPENED_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/limits.h"

enum { OPENED_NAMES_MAX = 1000 }; /* more series than that would be no help to anybody */

struct opened_name {
    char text[2 * LIMIT_NAME_BYTES + 2]; /* database/collection */
};

struct opened_names {
    uv_mutex_t lock;
    size_t count, capacity;
    struct opened_name *names; /* in no order */
};

int opened_names_open(struct opened_names *o); /* 0, or an error of libuv */
void opened_names_close(struct opened_names *o);
/* Where there is no room, and none in memory, a name is left out. */
void opened_names_add(struct opened_names *o, const char *name);
void opened_names_remove(struct opened_names *o, const char *name);
void opened_names_remove_of(struct opened_names *o, const char *database);
bool opened_names_has(struct opened_names *o, const char *name);
size_t opened_names_count(struct opened_names *o);
/* The i-th, into *out; 0, or -1 behind the last. */
int opened_names_at(struct opened_names *o, size_t i, struct opened_name *out);

#endif
