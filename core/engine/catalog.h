/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.h — databases and collections by name, and the file that says so (FORMAT.md 4, R14).
 *
 * A list that is changed by copying: build the next one, publish its file, take its place.
 * THREADS  One owner; readers of the list hold the owner's lock.
 */
#ifndef ENGINE_CATALOG_H
#define ENGINE_CATALOG_H

#include "base/buf.h"
#include "base/limits.h"
#include "os/vfs.h"
#include "store/file_header.h"
#include "store/twin_file.h"

enum { NAME_ROOM = LIMIT_NAME_BYTES + 1 };
/* The next number of a root never passes it: a number is the upper half of a lock's place (L4),
 * and places are signed. */
enum { COLLECTION_NUMBER_END = INT32_MAX };

struct catalog_collection {
    uint32_t number; /* 1..; never reused */
    struct uuid uuid;
    char database[NAME_ROOM];
    char name[NAME_ROOM];
};
struct catalog_dropped {
    uint32_t number;
    struct uuid uuid;
};
struct catalog {
    struct alloc *alloc;
    uint64_t epoch; /* of the file; 0: none yet */
    struct uuid root;
    uint64_t next_number;
    char (*databases)[NAME_ROOM]; /* sorted by bytes */
    size_t database_count;
    struct catalog_collection *collections; /* sorted by database, then name */
    size_t collection_count;
    struct catalog_dropped *dropped; /* directories that may still be there */
    size_t dropped_count;
};

void catalog_init(struct catalog *c, struct alloc *a, const struct uuid *root);
void catalog_deinit(struct catalog *c);
int catalog_copy(struct catalog *to, const struct catalog *from,
                 struct error *err); /* to is initialised */

/* The highest epoch in the root.  *out_found false: there is none. */
int catalog_load(struct catalog *c, struct vfs_dir *root, bool *out_found,
                 struct twin_info *out_info, struct error *err);
/* Write as epoch + 1 and raise it.  *out_renamed as twin_file_publish. */
int catalog_publish(struct catalog *c, struct vfs_dir *root, struct rng *rng, bool *out_renamed,
                    struct error *err);
/* Remove tmp- files and catalogs below this one (R14).  Writer only. */
int catalog_clean(const struct catalog *c, struct vfs_dir *root, struct error *err);
/* The body alone, for fuzzing and tests. */
int catalog_decode(struct catalog *c, struct slice body, struct error *err);
void catalog_encode(const struct catalog *c, struct buf *out);

bool catalog_has_database(const struct catalog *c, const char *database);
/* NULL when there is none.  Borrowed until the next change. */
const struct catalog_collection *catalog_find(const struct catalog *c, const char *database,
                                              const char *name);

/* ALREADY_EXISTS, NOT_FOUND, LIMIT, NO_MEMORY; the catalog is unchanged on failure. */
int catalog_add_database(struct catalog *c, const char *database, struct error *err);
/* With its collections. */
int catalog_drop_database(struct catalog *c, const char *database, struct error *err);
int catalog_add_collection(struct catalog *c, const struct catalog_collection *entry,
                           struct error *err);
int catalog_drop_collection(struct catalog *c, const char *database, const char *name,
                            struct error *err);
void catalog_forget_dropped(struct catalog *c, uint32_t number);

#endif
