/* SPDX-License-Identifier: Apache-2.0 */
/* doc_file.h — documents of a sealed segment in compressed blocks, and the cache of decoded ones.
 */
#ifndef STORE_DOC_FILE_H
#define STORE_DOC_FILE_H

#include "base/slice.h"
#include "store/part_file.h"

/* Decoded blocks, least recently used first out, bounded in bytes; shared by a database; any
 * thread. Entries are reference-counted, so that a borrowed document outlives its eviction. */
struct doc_cache;
int doc_cache_create(struct alloc *a, size_t bytes_max, struct doc_cache **out, struct error *err);
void doc_cache_destroy(struct doc_cache *c); /* no document is borrowed */
size_t doc_cache_bytes(struct doc_cache *c);

struct doc_writer;
int doc_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                      const struct uuid *segment, uint64_t row_count, struct rng *rng,
                      struct doc_writer **out, struct error *err);
int doc_writer_add(struct doc_writer *w, struct slice document,
                   struct error *err); /* rows in order; size 0 = empty map */
int doc_writer_finish(struct doc_writer *w, struct manifest_part *out_part, struct error *err);
void doc_writer_destroy(struct doc_writer *w);

struct doc_file;
int doc_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                  const struct uuid *segment, const struct manifest_part *expect,
                  uint64_t row_count, struct doc_cache *cache, struct doc_file **out,
                  struct error *err);
void doc_file_close(struct doc_file *f); /* drops its cached blocks */

/* A document and what keeps it alive. */
struct doc_ref {
    struct slice document; /* size 0: the empty map */
    void *block;           /* NULL: nothing to release */
    struct doc_cache *cache;
};
int doc_file_get(struct doc_file *f, uint32_t row, struct doc_ref *out, struct error *err);
void doc_ref_release(struct doc_ref *r); /* of a zeroed one: nothing */
int doc_file_verify(struct doc_file *f, struct error *err);

#endif
