/* SPDX-License-Identifier: Apache-2.0 */
/* twin_file.c — small files that are replaced as a whole: catalog and manifest.
 *
 * WHAT        The content stands in the file twice, each copy with its own checksums, so that one
 *             damaged block is survived; a new epoch is a new file, so that a crash leaves the old
 *             one or the new one.
 * LAYOUT      FORMAT.md 4.
 * INVARIANTS  (1) A file under its final name is complete: written and synced as tmp-<uuid>, then
 *                 renamed; it is never edited (R6).
 *             (2) Every byte of a copy is covered: by a checksum, or by being zero.
 * THREADS     Stateless; one publisher a directory.
 * FAILURE     Before the rename: the old epoch rules, the tmp file is garbage.  From the rename to
 *             the end of the directory's sync nobody knows which rules; *out_renamed says so.
 */
#include "store/twin_file.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/faults.h"
#include "base/hash.h"
#include "os/path.h"
#include "store/migrate.h"

enum twin_offset {
    AT_EPOCH = 80,
    AT_COPY_BYTES = 88,
    AT_BODY_BYTES = 96,
    AT_RESERVED = 104,
    AT_HEADER_CRC = 108,
    BODY_CRC_BYTES = 4,
};

/* ---- names ---- */

bool numbered_name_parse(const char *name, const char *prefix, uint64_t *out_number)
{
    size_t prefix_bytes = strlen(prefix);
    uint64_t n = 0;

    if (strncmp(name, prefix, prefix_bytes) != 0) return false;
    const char *digits = name + prefix_bytes;
    if (digits[0] == '\0' || (digits[0] == '0' && digits[1] != '\0')) return false;
    for (const char *p = digits; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') return false;
        uint64_t digit = (uint64_t)(*p - '0');
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *out_number = n;
    return true;
}

void numbered_name(char out[TWIN_NAME_BYTES], const char *prefix, uint64_t number)
{
    int bytes = snprintf(out, TWIN_NAME_BYTES, "%s%llu", prefix, (unsigned long long)number);
    CHECK(bytes > 0 && bytes < TWIN_NAME_BYTES);
}

struct newest {
    const char *prefix;
    uint64_t number;
    bool found;
};

static bool note_newest(void *ctx, const char *name)
{
    struct newest *n = ctx;
    uint64_t number = 0;

    if (!numbered_name_parse(name, n->prefix, &number)) return true;
    if (!n->found || number > n->number) n->number = number;
    n->found = true;
    return true;
}

int twin_file_newest(struct vfs_dir *dir, const char *prefix, uint64_t *out_epoch, bool *out_found,
                     struct error *err)
{
    struct newest n = {.prefix = prefix};

    if (vfs_dir_list(dir, note_newest, &n, err) != 0) return -1;
    *out_epoch = n.number;
    *out_found = n.found;
    return 0;
}

/* ---- writing ---- */

int twin_file_encode(const char *magic, uint64_t epoch, uint32_t features,
                     const struct file_owner *owner, const struct uuid *file, struct slice body,
                     struct buf *out, struct error *err)
{
    if (body.size > TWIN_BODY_BYTES_MAX)
        return error_set(err, LYNSE_TOO_LARGE, "%zu bytes of metadata; the limit is %llu",
                         body.size, TWIN_BODY_BYTES_MAX);
    size_t begin = out->size;
    size_t content_bytes = TWIN_HEADER_BYTES + body.size;
    size_t copy_bytes = align_up(content_bytes + BODY_CRC_BYTES, TWIN_ALIGN);
    if (!buf_reserve(out, 2 * copy_bytes)) return error_no_memory(err, 2 * copy_bytes);

    struct file_header h;
    uint8_t *header = buf_extend(out, TWIN_HEADER_BYTES);
    file_header_init(&h, magic, TWIN_HEADER_BYTES, owner, file);
    h.read_only_compatible |= features;
    file_header_encode(&h, header);
    store_u64(header + AT_EPOCH, epoch);
    store_u64(header + AT_COPY_BYTES, copy_bytes);
    store_u64(header + AT_BODY_BYTES, body.size);
    store_u32(header + AT_RESERVED, 0);
    store_u32(header + AT_HEADER_CRC, crc32c(0, header, AT_HEADER_CRC));
    buf_append(out, body.data, body.size);
    buf_append_u32(out, crc32c(0, out->data + begin, content_bytes));
    buf_append_zeros(out, copy_bytes - content_bytes - BODY_CRC_BYTES);
    buf_append(out, out->data + begin, copy_bytes);
    CHECK(buf_ok(out)); /* reserved above */
    return 0;
}

/* Mutants for the crash laboratory are per kind of file, so that it can tell them apart. */
static bool skips_sync(const char *magic)
{
    if (strcmp(magic, MAGIC_MANIFEST) == 0) return FAULT(MANIFEST_SKIP_SYNC);
    return FAULT(CATALOG_SKIP_SYNC);
}
static bool skips_dir_sync(const char *magic)
{
    if (strcmp(magic, MAGIC_MANIFEST) == 0) return FAULT(MANIFEST_SKIP_DIRSYNC);
    return FAULT(CATALOG_SKIP_DIRSYNC);
}

/* (1) up to the rename. */
static int write_tmp(struct vfs_dir *dir, const char *tmp, struct slice bytes, bool skip_sync,
                     struct error *err)
{
    struct vfs_file *f = NULL;

    if (vfs_open(dir, tmp, VFS_WRITE | VFS_CREATE, &f, err) != 0) return -1;
    int rc = vfs_write(f, 0, bytes.data, bytes.size, err);
    if (rc == 0 && !skip_sync) rc = vfs_sync(f, err);
    if (vfs_close(f, rc == 0 ? err : NULL) != 0) rc = -1;
    return rc;
}

/* A rename that failed has happened or not; the names tell, and where they cannot, it may have. */
static bool may_be_renamed(struct vfs_dir *dir, const char *name)
{
    bool is_there = true;
    if (vfs_exists(dir, name, &is_there, NULL) != 0) return true;
    return is_there;
}

int twin_file_publish(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                      uint32_t features, const struct file_owner *owner, struct slice body,
                      struct rng *rng, struct alloc *a, bool *out_renamed, struct error *err)
{
    int rc = -1;
    struct buf bytes;
    char name[TWIN_NAME_BYTES];
    char tmp[TEMPORARY_NAME_BYTES];
    struct uuid file_uuid = uuid_make(rng);

    *out_renamed = false;
    buf_init(&bytes, a, MEM_GENERAL);
    temporary_name(tmp, rng);
    numbered_name(name, prefix, epoch);
    if (twin_file_encode(magic, epoch, features, owner, &file_uuid, body, &bytes, err) != 0)
        goto out;
    if (write_tmp(dir, tmp, buf_slice(&bytes), skips_sync(magic), err) != 0) {
        (void)vfs_unlink(dir, tmp, NULL);
        goto out;
    }
    if (vfs_rename(dir, tmp, name, err) != 0) {
        *out_renamed = may_be_renamed(dir, name);
        if (!*out_renamed) (void)vfs_unlink(dir, tmp, NULL);
        goto out;
    }
    *out_renamed = true;
    if (!skips_dir_sync(magic) && vfs_dir_sync(dir, err) != 0) goto out;
    REACHED(MANIFEST_SWAPPED);
    rc = 0;
out:
    if (rc != 0) error_wrap(err, "write '%s'", name);
    buf_deinit(&bytes);
    return rc;
}

/* ---- reading ---- */

struct copy {
    const uint8_t *bytes;
    size_t copy_bytes; /* 0: the header is bad */
    struct slice body;
    const char *bad; /* NULL: good */
};

/* Checks everything that needs no knowledge of what the file is: (2). */
static void read_copy(struct slice file, size_t offset, struct copy *c)
{
    *c = (struct copy){.bad = "it is cut short"};
    if (offset > file.size || file.size - offset < TWIN_HEADER_BYTES) return;
    const uint8_t *p = file.data + offset;
    uint64_t copy_bytes = load_u64(p + AT_COPY_BYTES);
    uint64_t body_bytes = load_u64(p + AT_BODY_BYTES);

    c->bytes = p;
    c->bad = "the checksum of its header is wrong";
    if (load_u32(p + AT_HEADER_CRC) != crc32c(0, p, AT_HEADER_CRC)) return;
    c->bad = "its lengths contradict each other";
    if (body_bytes > TWIN_BODY_BYTES_MAX || load_u32(p + AT_RESERVED) != 0) return;
    size_t content_bytes = TWIN_HEADER_BYTES + (size_t)body_bytes;
    if (copy_bytes != align_up(content_bytes + BODY_CRC_BYTES, TWIN_ALIGN)) return;
    c->copy_bytes = (size_t)copy_bytes;
    c->bad = "it is cut short";
    if (copy_bytes > file.size - offset) return;
    c->bad = "its checksum is wrong";
    if (load_u32(p + content_bytes) != crc32c(0, p, content_bytes)) return;
    c->bad = "its padding is not zero";
    size_t padding_begin = content_bytes + BODY_CRC_BYTES;
    if (!bytes_are_zero(p + padding_begin, c->copy_bytes - padding_begin)) return;
    c->body = slice_of(p + TWIN_HEADER_BYTES, (size_t)body_bytes);
    c->bad = NULL;
}

/* Neither copy is good.  Of another major the checksums may stand elsewhere, so that is looked at
 * first, if both copies say the same. */
static int fail_both_bad(struct slice file, const char *name, const char *magic,
                         const struct copy copies[2], struct error *err)
{
    size_t half = file.size / 2;

    if (half >= FORMAT_HEADER_BYTES && memcmp(file.data, magic, FORMAT_MAGIC_BYTES) == 0 &&
        memcmp(file.data, file.data + half, FORMAT_MAGIC_BYTES + 2) == 0) {
        uint16_t major = load_u16(file.data + FORMAT_MAGIC_BYTES);
        if (migrate_check(migrate_table_built_in(), major, name, err) != 0) return -1;
    }
    return error_set(err, LYNSE_CORRUPT,
                     "'%s': both copies are bad (the first: %s; the second: %s)", name,
                     copies[0].bad, copies[1].bad);
}

int twin_file_verify(struct slice file, const char *name, uint64_t epoch, const char *magic,
                     const struct file_owner *owner, struct slice *out_body,
                     struct twin_info *out_info, struct error *err)
{
    struct copy copies[2];
    struct file_header header;
    struct twin_info info = {0};

    read_copy(file, 0, &copies[0]);
    size_t second = copies[0].copy_bytes ? copies[0].copy_bytes : file.size / 2;
    read_copy(file, second, &copies[1]);
    if (FAULT(MANIFEST_ONE_BODY)) copies[1].bad = "it is not looked at";
    if (!copies[1].bad && copies[1].copy_bytes != second) copies[1].bad = "it is out of place";
    if (copies[0].bad && copies[1].bad) return fail_both_bad(file, name, magic, copies, err);

    const struct copy *good = copies[0].bad ? &copies[1] : &copies[0];
    if (!copies[0].bad && !copies[1].bad &&
        memcmp(copies[0].bytes, copies[1].bytes, good->copy_bytes) != 0)
        return error_set(err, LYNSE_CORRUPT, "'%s': its two copies are whole and differ", name);
    if (file_header_decode(good->bytes, magic, TWIN_HEADER_BYTES, owner, name, &header,
                           &info.read_only_needed, err) != 0)
        return -1;
    if (load_u64(good->bytes + AT_EPOCH) != epoch)
        return error_set(err, LYNSE_CORRUPT, "'%s' says it has number %llu", name,
                         (unsigned long long)load_u64(good->bytes + AT_EPOCH));
    info.owner = header.owner;
    info.damaged_copies = copies[0].bad || copies[1].bad || file.size != 2 * good->copy_bytes;
    if (info.damaged_copies) REACHED(RECOVERY_DAMAGED_COPY);
    *out_body = good->body;
    *out_info = info;
    return 0;
}

/* The whole file into `bytes`; what is longer than any good one is not read. */
static int read_whole(struct vfs_dir *dir, const char *name, struct buf *bytes, struct error *err)
{
    int rc = -1;
    struct vfs_file *f = NULL;
    uint64_t size = 0;
    size_t got = 0;

    if (vfs_open(dir, name, VFS_READ, &f, err) != 0) return file_open_failed(err);
    if (vfs_size(f, &size, err) != 0) goto out;
    if (size > 2 * (TWIN_BODY_BYTES_MAX + TWIN_ALIGN)) {
        error_set(err, LYNSE_CORRUPT, "'%s' has %llu bytes, which no such file has", name,
                  (unsigned long long)size);
        goto out;
    }
    uint8_t *data = buf_extend(bytes, (size_t)size);
    if (!data) {
        error_no_memory(err, size);
        goto out;
    }
    if (vfs_read(f, 0, data, (size_t)size, &got, err) != 0) goto out;
    bytes->size = got; /* shorter when somebody truncates it meanwhile */
    rc = 0;
out:
    (void)vfs_close(f, NULL);
    return rc;
}

int twin_file_read(struct vfs_dir *dir, const char *prefix, uint64_t epoch, const char *magic,
                   const struct file_owner *owner, struct buf *body, struct twin_info *out_info,
                   struct error *err)
{
    int rc = -1;
    struct buf bytes;
    struct slice found;
    struct twin_info info;
    char name[TWIN_NAME_BYTES];

    buf_init(&bytes, body->alloc, MEM_GENERAL);
    numbered_name(name, prefix, epoch);
    if (read_whole(dir, name, &bytes, err) != 0) goto out;
    if (twin_file_verify(buf_slice(&bytes), name, epoch, magic, owner, &found, &info, err) != 0)
        goto out;
    buf_append(body, found.data, found.size);
    if (!buf_ok(body)) {
        error_no_memory(err, found.size);
        goto out;
    }
    *out_info = info;
    rc = 0;
out:
    buf_deinit(&bytes);
    return rc;
}
