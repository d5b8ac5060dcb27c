/* SPDX-License-Identifier: Apache-2.0 */
/* twin_file.h — small files that are replaced as a whole (FORMAT.md 4, R6). */
#ifndef STORE_TWIN_FILE_H
#define STORE_TWIN_FILE_H

#include "base/buf.h"
#include "os/vfs.h"
#include "store/file_header.h"

enum { TWIN_NAME_BYTES = 64 };
#define TWIN_BODY_BYTES_MAX (64ull << 20) /* a catalog of 100,000 collections has 30 MB */

/* Write `<prefix><epoch>` through tmp-<uuid>: write, sync, rename, sync the directory (R5, R6).
 * 0: durable.  -1: the old file rules or the new one does, nobody knows which: the caller must stop
 * writing (R9) unless *out_renamed is false, in which case the old one rules and the tmp file, if
 * it is still there, is garbage.  *out_renamed is always written.  features: the
 * read-only-compatible ones that the body uses. */
int twin_file_publish(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                      uint32_t features, const struct file_owner *owner, struct slice body,
                      struct rng *rng, struct alloc *a, bool *out_renamed, struct error *err);

/* What reading told beside the body. */
struct twin_info {
    struct file_owner owner;
    int damaged_copies;    /* 0 or 1: to be logged */
    bool read_only_needed; /* an unknown read-only-compatible feature */
};

/* Read and verify.  body (initialised by the caller) gets one good copy.  CORRUPT: both bad, both
 * good and different, the epoch is not the name's, or it is not `owner`'s; owner NULL: anybody's
 * (the catalog, which tells the root's UUID).  FORMAT_TOO_NEW.  NOT_FOUND. */
int twin_file_read(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                   const struct file_owner *owner, struct buf *body, struct twin_info *out_info,
                   struct error *err);

/* The same for bytes in memory; *out_body is a slice of them.  Touches no file: for fuzzing. */
int twin_file_verify(struct slice file, const char *name, uint64_t epoch, const char *magic,
                     const struct file_owner *owner, struct slice *out_body,
                     struct twin_info *out_info, struct error *err);

/* The bytes of a whole file, both copies. */
int twin_file_encode(const char *magic, uint64_t epoch, uint32_t features,
                     const struct file_owner *owner, const struct uuid *file, struct slice body,
                     struct buf *out, struct error *err);

/* The highest number among names `<prefix><number>` in the directory; *out_found false if none. */
int twin_file_newest(struct vfs_dir *dir, const char *prefix, uint64_t *out_epoch, bool *out_found,
                     struct error *err);

/* The number of "<prefix><number>"; false for another form, leading zeros or overflow. */
bool numbered_name_parse(const char *name, const char *prefix, uint64_t *out_number);
/* The other way round. */
void numbered_name(char out[TWIN_NAME_BYTES], const char *prefix, uint64_t number);

#endif
