/* SPDX-License-Identifier: Apache-2.0 */
/* file_header.h — the 80 bytes that every file starts with (FORMAT.md section 2). */
#ifndef STORE_FILE_HEADER_H
#define STORE_FILE_HEADER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/format.h"

/* LSNs, log sequences: what is above is damage, so that no sum of them overflows. */
#define LSN_MAX (UINT64_MAX >> 2)

/* Whose file it is: every file of a collection carries both. */
struct file_owner {
    struct uuid root;
    struct uuid collection; /* zero in the catalog */
};

struct file_header {
    const char *magic; /* MAGIC_… */
    uint16_t major;
    uint16_t minor;
    uint32_t writer;
    uint32_t compatible;
    uint32_t read_only_compatible;
    uint32_t incompatible;
    uint32_t header_bytes;
    struct file_owner owner;
    struct uuid file;
};

/* Fill in this build's version; features are the caller's to add. */
void file_header_init(struct file_header *h, const char *magic, uint32_t header_bytes,
                      const struct file_owner *owner, const struct uuid *file);
void file_header_encode(const struct file_header *h, uint8_t out[FORMAT_HEADER_BYTES]);
/* Checks magic (CORRUPT), major and features (FORMAT_TOO_NEW, both versions in the text), header
 * bytes, and the owner unless `owner` is NULL (CORRUPT: belongs to another database).  name is
 * for the text.  *out_read_only_needed: an unknown read-only-compatible bit is set. */
int file_header_decode(const uint8_t bytes[FORMAT_HEADER_BYTES], const char *magic,
                       uint32_t header_bytes, const struct file_owner *owner, const char *name,
                       struct file_header *out, bool *out_read_only_needed, struct error *err);

/* A file that the catalog, a manifest or the log needs could not be opened.  -1, CORRUPT instead of
 * INVALID: a directory or a link is in its place. */
int file_open_failed(struct error *err);

#endif
