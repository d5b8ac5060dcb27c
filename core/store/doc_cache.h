/* SPDX-License-Identifier: Apache-2.0 */
/* doc_cache.h — what doc_file.c needs of the cache of decoded blocks (doc_file.h has the rest).
 *
 * A block is known by the number of its file, which the cache gives, and its number in it.  All
 * functions may be called from any thread.
 */
#ifndef STORE_DOC_CACHE_H
#define STORE_DOC_CACHE_H

#include "base/slice.h"
#include "codec/block.h"
#include "store/doc_file.h"

struct doc_block;

struct alloc *doc_cache_alloc(const struct doc_cache *c);

/* A number that no other file of this cache has or had. */
uint64_t doc_cache_add_file(struct doc_cache *c);
void doc_cache_drop_file(struct doc_cache *c, uint64_t file); /* its blocks are forgotten */

/* With a reference for the caller; NULL: not cached. */
struct doc_block *doc_cache_find(struct doc_cache *c, uint64_t file, uint32_t index);
/* Keep decoded bytes (of mem_alloc, from doc_cache_alloc), with a reference for the caller.  When
 * another thread was faster its block is returned.  NULL: NO_MEMORY. */
struct doc_block *doc_cache_insert(struct doc_cache *c, uint64_t file, uint32_t index,
                                   uint8_t *take_bytes, size_t size, struct error *err);
void doc_cache_release(struct doc_cache *c, struct doc_block *b);
struct slice doc_block_bytes(const struct doc_block *b);

/* A codec for one decoding: one that is idle, or a new one. */
int doc_cache_take_codec(struct doc_cache *c, struct block_codec **out, struct error *err);
void doc_cache_return_codec(struct doc_cache *c, struct block_codec *codec);

#endif
