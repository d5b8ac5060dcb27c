/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.c — the list of databases and collections, and its file.
 *
 * WHAT        Two sorted lists and one of what was dropped, copied to be changed, written as a
 *             whole.
 * LAYOUT      FORMAT.md section 4.
 * INVARIANTS  (1) Both lists are sorted and without duplicates; every collection's database is
 *                 listed.
 *             (2) next_number is above every number, dropped ones too: numbers are never reused
 *                 (R14).
 *             (3) A dropped collection stays listed until its directory is durably gone (R14).
 *             (4) A number and a uuid stand there once, dropped ones too: a directory has one
 *                 owner, and what is removed is nobody's.
 * THREADS     One owner.
 * FAILURE     A damaged file is CORRUPT; a change that fails leaves the list as it was.
 */
#include "engine/catalog.h"

#include "base/check.h"
#include "base/hash_map.h"
#include "codec/tagged.h"
#include "os/name_list.h"
#include "os/path.h"
#include "store/twin_file.h"

enum catalog_tag {
    CATALOG_NEXT = 1,
    CATALOG_DATABASES = 2,
    CATALOG_COLLECTIONS = 3,
    CATALOG_DROPPED = 4
};

enum { READ_TRIES_MAX = 1000 };

void catalog_init(struct catalog *c, struct alloc *a, const struct uuid *root)
{
    memset(c, 0, sizeof *c);
    c->alloc = a;
    c->root = *root;
    c->next_number = 1;
}

void catalog_deinit(struct catalog *c)
{
    mem_free(c->alloc, c->databases);
    mem_free(c->alloc, c->collections);
    mem_free(c->alloc, c->dropped);
    memset(c, 0, sizeof *c);
}

/* A copy with room for one more entry; NULL when out of memory. */
static void *copy_list(struct alloc *a, const void *list, size_t count, size_t bytes)
{
    void *copy = mem_zalloc(a, MEM_GENERAL, (count + 1) * bytes);

    if (copy && count > 0) memcpy(copy, list, count * bytes);
    return copy;
}

int catalog_copy(struct catalog *to, const struct catalog *from, struct error *err)
{
    struct catalog c = *from;

    c.databases = copy_list(c.alloc, from->databases, from->database_count, sizeof *c.databases);
    c.collections =
        copy_list(c.alloc, from->collections, from->collection_count, sizeof *c.collections);
    c.dropped = copy_list(c.alloc, from->dropped, from->dropped_count, sizeof *c.dropped);
    if (!c.databases || !c.collections || !c.dropped) {
        catalog_deinit(&c);
        return error_no_memory(err, from->collection_count * sizeof *c.collections);
    }
    catalog_deinit(to);
    *to = c;
    return 0;
}

/* ---- the file ---- */

static void append_name(struct buf *out, const char *name)
{
    size_t size = strlen(name);

    buf_append_u8(out, (uint8_t)size);
    buf_append(out, name, size);
}

void catalog_encode(const struct catalog *c, struct buf *out)
{
    size_t begin = tagged_begin(out, CATALOG_NEXT, TAGGED_REQUIRED, 0);

    buf_append_u64(out, c->next_number);
    tagged_end(out, begin);
    begin = tagged_begin(out, CATALOG_DATABASES, TAGGED_REQUIRED, (uint32_t)c->database_count);
    for (size_t i = 0; i < c->database_count; i++) append_name(out, c->databases[i]);
    tagged_end(out, begin);
    begin = tagged_begin(out, CATALOG_COLLECTIONS, TAGGED_REQUIRED, (uint32_t)c->collection_count);
    for (size_t i = 0; i < c->collection_count; i++) {
        buf_append_u32(out, c->collections[i].number);
        buf_append(out, c->collections[i].uuid.bytes, sizeof c->collections[i].uuid.bytes);
        append_name(out, c->collections[i].database);
        append_name(out, c->collections[i].name);
    }
    tagged_end(out, begin);
    begin = tagged_begin(out, CATALOG_DROPPED, TAGGED_REQUIRED, (uint32_t)c->dropped_count);
    for (size_t i = 0; i < c->dropped_count; i++) {
        buf_append_u32(out, c->dropped[i].number);
        buf_append(out, c->dropped[i].uuid.bytes, sizeof c->dropped[i].uuid.bytes);
    }
    tagged_end(out, begin);
}

static int read_name(struct reader *r, const char *what, char out[NAME_ROOM], struct error *err)
{
    uint8_t size = 0;

    read_u8(r, &size);
    struct slice name = reader_take(r, size);
    if (r->failed) return error_set(err, LYNSE_CORRUPT, "catalog: a %s name is cut short", what);
    if (name_check(what, name, err) != 0) {
        if (err) err->code = LYNSE_CORRUPT;
        return error_wrap(err, "catalog");
    }
    memcpy(out, name.data, name.size);
    out[name.size] = 0;
    return 0;
}

static int read_databases(struct catalog *c, const struct tagged_field *f, struct error *err)
{
    struct reader r = reader_of(f->data);

    if (f->number > f->data.size)
        return error_set(err, LYNSE_CORRUPT, "catalog: %u databases in %zu bytes", f->number,
                         f->data.size);
    mem_free(c->alloc, c->databases);
    c->database_count = 0;
    c->databases =
        mem_zalloc(c->alloc, MEM_GENERAL, ((size_t)f->number + 1) * sizeof *c->databases);
    if (!c->databases) return error_no_memory(err, f->number * sizeof *c->databases);
    for (uint32_t i = 0; i < f->number; i++) {
        if (read_name(&r, "database", c->databases[i], err) != 0) return -1;
        if (i > 0 && strcmp(c->databases[i - 1], c->databases[i]) >= 0)
            return error_set(err, LYNSE_CORRUPT, "catalog: databases are not in order");
        c->database_count++;
    }
    return reader_left(&r) == 0
               ? 0
               : error_set(err, LYNSE_CORRUPT, "catalog: bytes behind the databases");
}

static int compare_names(const struct catalog_collection *a, const char *database, const char *name)
{
    int order = strcmp(a->database, database);
    return order ? order : strcmp(a->name, name);
}

static int read_numbered(struct catalog *c, struct reader *r, uint32_t *out_number,
                         struct uuid *out_uuid, struct error *err)
{
    read_u32(r, out_number);
    struct slice uuid = reader_take(r, sizeof out_uuid->bytes);
    if (r->failed) return error_set(err, LYNSE_CORRUPT, "catalog: an entry is cut short");
    if (*out_number == 0 || *out_number >= c->next_number)
        return error_set(err, LYNSE_CORRUPT, "catalog: collection number %u, the next is %llu",
                         *out_number, (unsigned long long)c->next_number);
    memcpy(out_uuid->bytes, uuid.data, uuid.size);
    return 0;
}

static int read_collections(struct catalog *c, const struct tagged_field *f, struct error *err)
{
    struct reader r = reader_of(f->data);

    if (f->number > f->data.size / 24)
        return error_set(err, LYNSE_CORRUPT, "catalog: %u collections in %zu bytes", f->number,
                         f->data.size);
    mem_free(c->alloc, c->collections);
    c->collection_count = 0;
    c->collections =
        mem_zalloc(c->alloc, MEM_GENERAL, ((size_t)f->number + 1) * sizeof *c->collections);
    if (!c->collections) return error_no_memory(err, f->number * sizeof *c->collections);
    for (uint32_t i = 0; i < f->number; i++) {
        struct catalog_collection *e = &c->collections[i];
        if (read_numbered(c, &r, &e->number, &e->uuid, err) != 0) return -1;
        if (read_name(&r, "database", e->database, err) != 0 ||
            read_name(&r, "collection", e->name, err) != 0)
            return -1;
        if (!catalog_has_database(c, e->database))
            return error_set(err, LYNSE_CORRUPT,
                             "catalog: collection '%s' of unknown database '%s'", e->name,
                             e->database);
        if (i > 0 && compare_names(&c->collections[i - 1], e->database, e->name) >= 0)
            return error_set(err, LYNSE_CORRUPT, "catalog: collections are not in order");
        c->collection_count++;
    }
    return reader_left(&r) == 0
               ? 0
               : error_set(err, LYNSE_CORRUPT, "catalog: bytes behind the collections");
}

static int read_dropped(struct catalog *c, const struct tagged_field *f, struct error *err)
{
    struct reader r = reader_of(f->data);

    if (f->number > f->data.size / 20)
        return error_set(err, LYNSE_CORRUPT, "catalog: %u dropped in %zu bytes", f->number,
                         f->data.size);
    mem_free(c->alloc, c->dropped);
    c->dropped_count = 0;
    c->dropped = mem_zalloc(c->alloc, MEM_GENERAL, ((size_t)f->number + 1) * sizeof *c->dropped);
    if (!c->dropped) return error_no_memory(err, f->number * sizeof *c->dropped);
    for (uint32_t i = 0; i < f->number; i++, c->dropped_count++)
        if (read_numbered(c, &r, &c->dropped[i].number, &c->dropped[i].uuid, err) != 0) return -1;
    return reader_left(&r) == 0
               ? 0
               : error_set(err, LYNSE_CORRUPT, "catalog: bytes behind the dropped");
}

struct owners {
    struct int_map numbers;
    struct text_map uuids;
};

static int note_owner(struct owners *o, uint32_t number, const struct uuid *uuid, struct error *err)
{
    struct slice key = slice_of(uuid->bytes, sizeof uuid->bytes);
    uint64_t seen;

    if (int_map_get(&o->numbers, number, &seen))
        return error_set(err, LYNSE_CORRUPT, "catalog: number %u stands there twice", number);
    if (text_map_get(&o->uuids, key, &seen))
        return error_set(err, LYNSE_CORRUPT, "catalog: collections %u and %u share a directory",
                         (uint32_t)seen, number);
    if (int_map_put(&o->numbers, number, 0) != 0 || text_map_put(&o->uuids, key, number) != 0)
        return error_no_memory(err, sizeof *o);
    return 0;
}

static int check_owners(const struct catalog *c, struct error *err) /* (4) */
{
    struct owners o;
    int rc = 0;

    int_map_init(&o.numbers, c->alloc, MEM_GENERAL);
    text_map_init(&o.uuids, c->alloc, MEM_GENERAL);
    for (size_t i = 0; rc == 0 && i < c->collection_count; i++)
        rc = note_owner(&o, c->collections[i].number, &c->collections[i].uuid, err);
    for (size_t i = 0; rc == 0 && i < c->dropped_count; i++)
        rc = note_owner(&o, c->dropped[i].number, &c->dropped[i].uuid, err);
    int_map_deinit(&o.numbers);
    text_map_deinit(&o.uuids);
    return rc;
}

int catalog_decode(struct catalog *c, struct slice body, struct error *err)
{
    struct reader r = reader_of(body);
    struct tagged_field f;
    uint32_t seen = 0;
    int more;

    while ((more = tagged_next(&r, "catalog", &f, err)) == 1) {
        if (f.tag > CATALOG_DROPPED || f.tag == 0) {
            if (tagged_unknown(&f, "catalog", err) != 0) return -1;
            continue;
        }
        /* In the order of the table: each list is checked against those before it. */
        if (seen != f.tag - 1u)
            return error_set(err, LYNSE_CORRUPT, "catalog: field %u is out of order", f.tag);
        seen = f.tag;
        int rc = 0;
        switch (f.tag) {
        case CATALOG_NEXT:
            c->next_number = f.data.size == sizeof(uint64_t) ? load_u64(f.data.data) : 0;
            if (c->next_number == 0 || c->next_number > COLLECTION_NUMBER_END)
                rc = error_set(err, LYNSE_CORRUPT, "catalog: damaged next number");
            break;
        case CATALOG_DATABASES:
            rc = read_databases(c, &f, err);
            break;
        case CATALOG_COLLECTIONS:
            rc = read_collections(c, &f, err);
            break;
        default:
            rc = read_dropped(c, &f, err);
            break;
        }
        if (rc != 0) return -1;
    }
    if (more < 0) return -1;
    if (seen != CATALOG_DROPPED)
        return error_set(err, LYNSE_CORRUPT, "catalog: field %u is missing", seen + 1);
    return check_owners(c, err);
}

/* The newest one's body.  A writer of another process may remove it between the look and the read:
 * then there is a newer one. */
static int read_newest(struct vfs_dir *root, struct buf *body, uint64_t *out_epoch, bool *out_found,
                       struct twin_info *out_info, struct error *err)
{
    for (int i = 1;; i++) {
        struct error failed = {0};
        if (twin_file_newest(root, "catalog-", out_epoch, out_found, err) != 0) return -1;
        if (!*out_found || twin_file_read(root, "catalog-", *out_epoch, MAGIC_CATALOG, NULL, body,
                                          out_info, &failed) == 0)
            return 0;
        if (failed.code == LYNSE_NOT_FOUND && i < READ_TRIES_MAX) continue;
        if (err) *err = failed;
        return -1;
    }
}

int catalog_load(struct catalog *c, struct vfs_dir *root, bool *out_found,
                 struct twin_info *out_info, struct error *err)
{
    struct buf body;
    int rc = -1;
    uint64_t epoch = 0;

    *out_found = false;
    buf_init(&body, c->alloc, MEM_GENERAL);
    if (read_newest(root, &body, &epoch, out_found, out_info, err) != 0) goto out;
    if (!*out_found) {
        rc = 0;
        goto out;
    }
    if (catalog_decode(c, buf_slice(&body), err) != 0) goto out;
    c->root = out_info->owner.root;
    c->epoch = epoch;
    rc = 0;
out:
    buf_deinit(&body);
    return rc;
}

int catalog_publish(struct catalog *c, struct vfs_dir *root, struct rng *rng, bool *out_renamed,
                    struct error *err)
{
    struct file_owner owner = {.root = c->root};
    struct buf body;
    int rc = -1;

    *out_renamed = false;
    buf_init(&body, c->alloc, MEM_GENERAL);
    catalog_encode(c, &body);
    if (!buf_ok(&body)) error_no_memory(err, body.size);
    else
        rc = twin_file_publish(root, "catalog-", c->epoch + 1, MAGIC_CATALOG, 0, &owner,
                               buf_slice(&body), rng, c->alloc, out_renamed, err);
    if (rc == 0) c->epoch++;
    buf_deinit(&body);
    return rc;
}

static bool is_garbage(void *ctx, const char *name)
{
    const struct catalog *c = ctx;
    uint64_t epoch;

    if (name_is_temporary(name)) return true;
    return numbered_name_parse(name, "catalog-", &epoch) && epoch < c->epoch;
}

int catalog_clean(const struct catalog *c, struct vfs_dir *root, struct error *err)
{
    struct name_list garbage;

    name_list_init(&garbage, c->alloc);
    int rc = name_list_read(&garbage, root, is_garbage, (void *)(uintptr_t)c, err);
    if (rc == 0) rc = name_list_unlink(&garbage, root, err);
    name_list_deinit(&garbage);
    return rc;
}

/* ---- the lists ---- */

static size_t database_position(const struct catalog *c, const char *database)
{
    size_t i = 0;

    while (i < c->database_count && strcmp(c->databases[i], database) < 0) i++;
    return i;
}

/* First entry that is not before (database, name), by halving. */
static size_t collection_position(const struct catalog *c, const char *database, const char *name)
{
    size_t low = 0, high = c->collection_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(&c->collections[middle], database, name) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

bool catalog_has_database(const struct catalog *c, const char *database)
{
    size_t i = database_position(c, database);
    return i < c->database_count && strcmp(c->databases[i], database) == 0;
}

const struct catalog_collection *catalog_find(const struct catalog *c, const char *database,
                                              const char *name)
{
    size_t i = collection_position(c, database, name);
    if (i == c->collection_count || compare_names(&c->collections[i], database, name) != 0)
        return NULL;
    return &c->collections[i];
}

int catalog_add_database(struct catalog *c, const char *database, struct error *err)
{
    size_t i = database_position(c, database);

    if (catalog_has_database(c, database))
        return error_set(err, LYNSE_ALREADY_EXISTS, "database '%s' already exists", database);
    void *list = mem_resize(c->alloc, MEM_GENERAL, c->databases,
                            (c->database_count + 2) * sizeof *c->databases);
    if (!list) return error_no_memory(err, c->database_count * sizeof *c->databases);
    c->databases = list;
    memmove(&c->databases[i + 1], &c->databases[i], (c->database_count - i) * sizeof *c->databases);
    memset(c->databases[i], 0, sizeof c->databases[i]);
    memcpy(c->databases[i], database, strlen(database));
    c->database_count++;
    return 0;
}

int catalog_add_collection(struct catalog *c, const struct catalog_collection *entry,
                           struct error *err)
{
    size_t i = collection_position(c, entry->database, entry->name);

    CHECK(catalog_has_database(c, entry->database) && entry->number == c->next_number);
    if (catalog_find(c, entry->database, entry->name))
        return error_set(err, LYNSE_ALREADY_EXISTS, "collection '%s/%s' already exists",
                         entry->database, entry->name);
    if (c->collection_count >= LIMIT_COLLECTIONS)
        return error_set(err, LYNSE_LIMIT, "collections: %zu, at most %d a root",
                         c->collection_count + 1, LIMIT_COLLECTIONS);
    void *list = mem_resize(c->alloc, MEM_GENERAL, c->collections,
                            (c->collection_count + 2) * sizeof *c->collections);
    if (!list) return error_no_memory(err, c->collection_count * sizeof *c->collections);
    c->collections = list;
    memmove(&c->collections[i + 1], &c->collections[i],
            (c->collection_count - i) * sizeof *c->collections);
    c->collections[i] = *entry;
    c->collection_count++;
    c->next_number++;
    return 0;
}

/* Collections first … first + count - 1 go to the dropped ones (3). */
static int drop_collections(struct catalog *c, size_t first, size_t count, struct error *err)
{
    void *list = mem_resize(c->alloc, MEM_GENERAL, c->dropped,
                            (c->dropped_count + count + 1) * sizeof *c->dropped);

    if (!list) return error_no_memory(err, (c->dropped_count + count) * sizeof *c->dropped);
    c->dropped = list;
    for (size_t i = first; i < first + count; i++)
        c->dropped[c->dropped_count++] =
            (struct catalog_dropped){c->collections[i].number, c->collections[i].uuid};
    memmove(&c->collections[first], &c->collections[first + count],
            (c->collection_count - first - count) * sizeof *c->collections);
    c->collection_count -= count;
    return 0;
}

int catalog_drop_collection(struct catalog *c, const char *database, const char *name,
                            struct error *err)
{
    if (!catalog_find(c, database, name))
        return error_set(err, LYNSE_NOT_FOUND, "collection '%s/%s' not found", database, name);
    return drop_collections(c, collection_position(c, database, name), 1, err);
}

int catalog_drop_database(struct catalog *c, const char *database, struct error *err)
{
    size_t i = database_position(c, database), first = collection_position(c, database, "");
    size_t end = first;

    if (!catalog_has_database(c, database))
        return error_set(err, LYNSE_NOT_FOUND, "database '%s' not found", database);
    while (end < c->collection_count && strcmp(c->collections[end].database, database) == 0) end++;
    if (drop_collections(c, first, end - first, err) != 0) return -1;
    memmove(&c->databases[i], &c->databases[i + 1],
            (c->database_count - i - 1) * sizeof *c->databases);
    c->database_count--;
    return 0;
}

void catalog_forget_dropped(struct catalog *c, uint32_t number)
{
    for (size_t i = 0; i < c->dropped_count; i++) {
        if (c->dropped[i].number != number) continue;
        c->dropped[i] = c->dropped[--c->dropped_count];
        return;
    }
}
