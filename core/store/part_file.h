/* SPDX-License-Identifier: Apache-2.0 */
/* part_file.h — the container of all segment parts: sections, block checksums, footer (FORMAT.md
 * 7).
 *
 * Written once, front to back, under a tmp- name; read through a map, each checksum block verified
 * when it is first used (a bitmap remembers), so that opening costs nothing that grows with rows.
 */
#ifndef STORE_PART_FILE_H
#define STORE_PART_FILE_H

#include "base/buf.h"
#include "base/hash.h"
#include "os/mapping.h"
#include "os/vfs.h"
#include "store/file_header.h"
#include "store/manifest.h"

struct part_writer;

/* Starts tmp-<uuid> in dir.  After an error of any of these the writer is good for destroy only.
 * segment: the UUID in the header. */
int part_writer_create(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                       const struct uuid *segment, enum part_kind kind, uint16_t field,
                       uint64_t row_count, struct rng *rng, struct part_writer **out,
                       struct error *err);
/* Sections follow one another; each is begun, gets bytes in any number of pieces, and is ended. */
int part_writer_begin(struct part_writer *w, enum section_kind kind, uint32_t element_bytes,
                      uint64_t number, struct error *err);
int part_writer_write(struct part_writer *w, const void *data, size_t size, struct error *err);
int part_writer_end(struct part_writer *w, struct error *err);
/* Table, directory, footer, sync, rename to its final name.  The caller syncs the directory once
 * for all parts (R10).  out_part is what the manifest records. */
int part_writer_finish(struct part_writer *w, uint64_t name_number, struct manifest_part *out_part,
                       struct error *err);
/* The name that it has until then.  Borrowed until destroy. */
const char *part_writer_temporary(const struct part_writer *w);
void part_writer_destroy(
    struct part_writer *w); /* unfinished: the tmp file is removed; NULL allowed */

struct part_section {
    uint32_t kind;
    uint32_t element_bytes;
    uint64_t number;
    uint64_t offset;
    uint64_t bytes;
};

struct part_file; /* immutable after open but for the verified bits; any thread may read */

/* The file holds a reference to dir: a block that fails is read from it once more.
 * Maps and verifies header, footer, table, directory; length, hash, kind, rows against `expect`.
 * Errors: CORRUPT naming the file and what is wrong, FORMAT_TOO_NEW. */
int part_file_open(struct alloc *a, struct vfs_dir *dir, const struct file_owner *owner,
                   const struct uuid *segment, const struct manifest_part *expect,
                   uint64_t name_number, uint64_t row_count, struct part_file **out,
                   struct error *err);
void part_file_close(struct part_file *f); /* NULL allowed */
/* NULL when it has no such section. */
const struct part_section *part_file_section(const struct part_file *f, enum section_kind kind);
/* The bytes [offset, offset + size) of a section, verified.  Borrowed until close.  CORRUPT names
 * the file and the block; the caller gives ranges that lie in the section (checked: CORRUPT
 * otherwise). */
int part_file_borrow(struct part_file *f, const struct part_section *s, uint64_t offset,
                     uint64_t size, const void **out, struct error *err);
/* Verify every block (scrub, tests). */
int part_file_verify(struct part_file *f, struct error *err);
const char *part_file_name(const struct part_file *f);

#endif
