/* SPDX-License-Identifier: Apache-2.0 */
/* path.h — names of databases, collections and files. */
#ifndef OS_PATH_H
#define OS_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/slice.h"

/* A database or collection name: 1..LIMIT_NAME_BYTES bytes of ASCII letters, digits, '.', '_', '-',
 * not "." or "..".  what: "database" or "collection", for the text.  INVALID, or LIMIT. */
int name_check(const char *what, struct slice name, struct error *err);

/* "db/coll" or "coll" (then the database is "default") into two slices of `text`; both checked. */
int name_split(const char *text, struct slice *out_database, struct slice *out_collection,
               struct error *err);

/* One path component for the VFS: not empty, no '/', no NUL, not "." or "..", at most 255 bytes. */
bool name_is_component(const char *name);
int name_check_component(const char *name, struct error *err); /* INVALID when it is not */

/* tmp-<uuid>: of a file that is being written, or a spare log file; nobody's when its process has
 * ended (R5, R14). */
enum { TEMPORARY_NAME_BYTES = 4 + UUID_TEXT_BYTES };
void temporary_name(char out[TEMPORARY_NAME_BYTES], struct rng *rng);
bool name_is_temporary(const char *name);

#endif
