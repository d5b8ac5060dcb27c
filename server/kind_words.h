/* SPDX-License-Identifier: Apache-2.0 */
/* kind_words.h — metrics, types of storage and levels of durability, as scripts and answers name
 * them. */
#ifndef SERVER_KIND_WORDS_H
#define SERVER_KIND_WORDS_H

#include <stdint.h>

extern const char *const sync_words[]; /* by enum lynse_sync_level; the last one is NULL */
/* "" where there is none of that number. */
const char *sync_word(uint32_t level);
const char *metric_word(uint32_t metric);
const char *storage_word(uint32_t storage);

#endif
