/* SPDX-License-Identifier: Apache-2.0 */
#include "store/file_header.h"

#include "base/bytes.h"
#include "store/migrate.h"

enum header_offset {
    AT_MAGIC = 0,
    AT_MAJOR = 8,
    AT_MINOR = 10,
    AT_WRITER = 12,
    AT_COMPATIBLE = 16,
    AT_READ_ONLY_COMPATIBLE = 20,
    AT_INCOMPATIBLE = 24,
    AT_HEADER_BYTES = 28,
    AT_ROOT = 32,
    AT_COLLECTION = 48,
    AT_FILE = 64,
};

void file_header_init(struct file_header *h, const char *magic, uint32_t header_bytes,
                      const struct file_owner *owner, const struct uuid *file)
{
    *h = (struct file_header){
        .magic = magic,
        .major = FORMAT_MAJOR,
        .minor = FORMAT_MINOR,
        .writer = FORMAT_WRITER,
        .header_bytes = header_bytes,
        .owner = *owner,
        .file = *file,
    };
}

void file_header_encode(const struct file_header *h, uint8_t out[FORMAT_HEADER_BYTES])
{
    memcpy(out + AT_MAGIC, h->magic, FORMAT_MAGIC_BYTES);
    store_u16(out + AT_MAJOR, h->major);
    store_u16(out + AT_MINOR, h->minor);
    store_u32(out + AT_WRITER, h->writer);
    store_u32(out + AT_COMPATIBLE, h->compatible);
    store_u32(out + AT_READ_ONLY_COMPATIBLE, h->read_only_compatible);
    store_u32(out + AT_INCOMPATIBLE, h->incompatible);
    store_u32(out + AT_HEADER_BYTES, h->header_bytes);
    memcpy(out + AT_ROOT, h->owner.root.bytes, sizeof h->owner.root.bytes);
    memcpy(out + AT_COLLECTION, h->owner.collection.bytes, sizeof h->owner.collection.bytes);
    memcpy(out + AT_FILE, h->file.bytes, sizeof h->file.bytes);
}

static int check_version(const struct file_header *h, const char *name, struct error *err)
{
    uint32_t unknown = h->incompatible & ~FEATURES_INCOMPATIBLE;

    if (migrate_check(migrate_table_built_in(), h->major, name, err) != 0) return -1;
    if (unknown == 0) return 0;
    return error_set(err, LYNSE_FORMAT_TOO_NEW,
                     "'%s' (format %u.%u, written by %u.%u) uses features 0x%x, which this version "
                     "(format %d.%d) does not know",
                     name, h->major, h->minor, h->writer >> 24, h->writer >> 16 & 255, unknown,
                     FORMAT_MAJOR, FORMAT_MINOR);
}

int file_header_decode(const uint8_t bytes[FORMAT_HEADER_BYTES], const char *magic,
                       uint32_t header_bytes, const struct file_owner *owner, const char *name,
                       struct file_header *out, bool *out_read_only_needed, struct error *err)
{
    struct file_header h = {
        .magic = magic,
        .major = load_u16(bytes + AT_MAJOR),
        .minor = load_u16(bytes + AT_MINOR),
        .writer = load_u32(bytes + AT_WRITER),
        .compatible = load_u32(bytes + AT_COMPATIBLE),
        .read_only_compatible = load_u32(bytes + AT_READ_ONLY_COMPATIBLE),
        .incompatible = load_u32(bytes + AT_INCOMPATIBLE),
        .header_bytes = load_u32(bytes + AT_HEADER_BYTES),
    };
    memcpy(h.owner.root.bytes, bytes + AT_ROOT, sizeof h.owner.root.bytes);
    memcpy(h.owner.collection.bytes, bytes + AT_COLLECTION, sizeof h.owner.collection.bytes);
    memcpy(h.file.bytes, bytes + AT_FILE, sizeof h.file.bytes);

    if (memcmp(bytes + AT_MAGIC, magic, FORMAT_MAGIC_BYTES) != 0)
        return error_set(err, LYNSE_CORRUPT, "'%s' does not begin with '%s'", name, magic);
    if (check_version(&h, name, err) != 0) return -1;
    if (h.header_bytes != header_bytes)
        return error_set(err, LYNSE_CORRUPT, "'%s': the header says it has %u bytes instead of %u",
                         name, h.header_bytes, header_bytes);
    if (owner && !uuid_equal(&h.owner.root, &owner->root))
        return error_set(err, LYNSE_CORRUPT, "'%s' belongs to another database", name);
    if (owner && !uuid_equal(&h.owner.collection, &owner->collection))
        return error_set(err, LYNSE_CORRUPT, "'%s' belongs to another collection", name);
    *out = h;
    *out_read_only_needed = (h.read_only_compatible & ~FEATURES_READ_ONLY_COMPATIBLE) != 0;
    return 0;
}

int file_open_failed(struct error *err)
{
    if (err && err->code == LYNSE_INVALID) err->code = LYNSE_CORRUPT;
    return -1;
}
