/* SPDX-License-Identifier: Apache-2.0 */
/* installed_hook.h — a hook that a collection keeps: what its manifest says of it (FORMAT.md 5),
 * and what this process has made of that.
 *
 * Which points and languages there are is not known here: a point is a word, a source is text.
 * What the manifest says is constant once a manifest names the hook, so that manifests and views
 * share it by reference.  THREADS  Any.
 */
#ifndef STORE_INSTALLED_HOOK_H
#define STORE_INSTALLED_HOOK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/thread.h"

enum {
    INSTALLED_HOOKS_MAX = 8, /* points of one collection */
    INSTALLED_POINT_BYTES_MAX = 31,
    INSTALLED_SOURCE_BYTES_MAX = 64 << 10,
    INSTALLED_OPTIONS_BYTES_MAX = 16 << 10,
};
/* When it fails: the search fails, or answers without it. */
enum hook_policy { HOOK_POLICY_FAIL = 0, HOOK_POLICY_SKIP = 1, HOOK_POLICY_MAX = 1 };

struct installed_hook_desc {
    struct slice point;   /* its word */
    struct slice source;  /* empty: it was dropped; the version is still counted on */
    struct slice options; /* msgpack */
    uint8_t on_failure;   /* enum hook_policy */
    bool is_trusted;      /* the root trusted scripts when it was set */
};
struct installed_hook {
    struct alloc *alloc;
    uint64_t version;              /* from 1; one more each time that the point is set */
    struct installed_hook_desc is; /* its slices are in `bytes` */
    struct mutex mutex;            /* of all below but the bytes */
    size_t reference_count;
    uint64_t failure_count; /* how often a search went on without it */
    void *prepared;         /* NULL: not yet; owned */
    void (*destroy_prepared)(void *prepared);
    uint8_t bytes[];
};

/* One reference, version 0; copies the desc.  NO_MEMORY. */
int installed_hook_create(struct alloc *a, const struct installed_hook_desc *desc,
                          struct installed_hook **out, struct error *err);
struct installed_hook *installed_hook_acquire(struct installed_hook *h);
void installed_hook_release(struct installed_hook *h); /* NULL is allowed */

/* What was made of it for running; NULL: nothing yet.  It is there as long as the hook. */
void *installed_hook_prepared(struct installed_hook *h);
/* Keep it, unless another thread was first: then it is destroyed.  What is kept. */
void *installed_hook_keep(struct installed_hook *h, void *take_prepared,
                          void (*destroy)(void *prepared));
uint64_t installed_hook_count_failure(struct installed_hook *h); /* the number of it, from 1 */

/* ---- Those of a collection; zeroed, there are none ---- */

struct installed_hooks {
    size_t count;
    struct installed_hook *list[INSTALLED_HOOKS_MAX]; /* a reference each; one a point */
};
void installed_hooks_acquire(struct installed_hooks *hooks); /* another reference each */
void installed_hooks_release(struct installed_hooks *hooks); /* and there are none */
/* That of the point, one that was dropped too; NULL: it never had one.  Borrowed. */
struct installed_hook *installed_hooks_find(const struct installed_hooks *hooks,
                                            struct slice point);
/* In the place of that of its point, or added.  LIMIT; the reference is taken on success. */
int installed_hooks_put(struct installed_hooks *hooks, struct installed_hook *take_h,
                        struct error *err);
/* What of the entry the manifest cannot say; NULL: nothing is wrong. */
const char *installed_hooks_check(const struct installed_hooks *hooks, size_t index);

struct reader;
/* The data of the manifest's field.  Decode: -1 with err set for NO_MEMORY, else malformed. */
void installed_hook_encode(const struct installed_hook *h, struct buf *out);
int installed_hook_decode(struct alloc *a, struct reader *r, struct installed_hook **out,
                          struct error *err);

#endif
