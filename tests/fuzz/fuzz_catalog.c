/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_catalog.c — the body of a catalog (fuzz_manifest.c has the twin file around it).
 *
 * The first byte chooses.  Bit 0: what was decoded is changed as a caller would change it.  Bit 1:
 * the body is written by a script whose bytes are counts, lengths and letters, so that it is whole
 * except in what it says.
 */
#include "base/check.h"
#include "codec/tagged.h"
#include "engine/catalog.h"
#include "fuzz/fuzz.h"

enum { BIT_CHANGE = 1, BIT_SCRIPT = 2 };

/* ---- a body from a script ---- */

static uint8_t next_byte(struct slice *script)
{
    if (script->size == 0) return 0;
    script->size--;
    return *script->data++;
}

/* A length, and the letter that it is made of. */
static void add_name(struct slice *script, struct buf *out)
{
    uint8_t size = next_byte(script), letter = next_byte(script), text[UINT8_MAX];
    memset(text, letter, sizeof text);
    buf_append_u8(out, size);
    buf_append(out, text, size);
}

static void add_owner(struct slice *script, struct buf *out)
{
    struct uuid uuid = {{next_byte(script)}};
    buf_append_u32(out, next_byte(script));
    buf_append(out, uuid.bytes, sizeof uuid.bytes);
}

static void build_body(struct slice script, struct buf *out)
{
    size_t begin = tagged_begin(out, 1, TAGGED_REQUIRED, 0);
    buf_append_u64(out, next_byte(&script));
    tagged_end(out, begin);
    for (uint16_t tag = 2; tag <= 4; tag++) {
        uint8_t count = next_byte(&script) % 8;
        begin = tagged_begin(out, tag, TAGGED_REQUIRED, count);
        for (uint8_t i = 0; i < count; i++) {
            if (tag != 2) add_owner(&script, out);
            for (int names = tag == 4 ? 0 : tag - 1; names > 0; names--) add_name(&script, out);
        }
        tagged_end(out, begin);
    }
}

/* ---- what must hold of any body ---- */

/* What decode promises of whatever it accepts. */
static void check_name(const char *name)
{
    CHECK(name[0] != '\0' && memchr(name, '\0', NAME_ROOM));
}

static void check_lists(const struct catalog *c)
{
    CHECK(c->next_number >= 1 && c->next_number <= UINT32_MAX);
    for (size_t i = 0; i < c->database_count; i++) {
        check_name(c->databases[i]);
        CHECK(catalog_has_database(c, c->databases[i]));
        CHECK(i == 0 || strcmp(c->databases[i - 1], c->databases[i]) < 0);
    }
    for (size_t i = 0; i < c->collection_count; i++) {
        const struct catalog_collection *e = &c->collections[i];
        check_name(e->database);
        check_name(e->name);
        CHECK(e->number >= 1 && e->number < c->next_number);
        CHECK(catalog_has_database(c, e->database));
        CHECK(catalog_find(c, e->database, e->name) == e);
    }
    for (size_t i = 0; i < c->dropped_count; i++)
        CHECK(c->dropped[i].number >= 1 && c->dropped[i].number < c->next_number);
}

static struct catalog_dropped owner_at(const struct catalog *c, size_t i)
{
    if (i >= c->collection_count) return c->dropped[i - c->collection_count];
    return (struct catalog_dropped){c->collections[i].number, c->collections[i].uuid};
}

/* A directory has one owner, and what is to be removed is nobody's (R14). */
static void check_owners(const struct catalog *c)
{
    for (size_t i = 0; i < c->collection_count + c->dropped_count; i++) {
        struct catalog_dropped one = owner_at(c, i);
        for (size_t k = 0; k < i; k++) {
            struct catalog_dropped other = owner_at(c, k);
            CHECK(one.number != other.number && !uuid_equal(&one.uuid, &other.uuid));
        }
    }
}

static void check_round_trip(const struct catalog *c)
{
    struct catalog again;
    struct buf first, second;

    catalog_init(&again, alloc_libc(), &c->root);
    buf_init(&first, alloc_libc(), MEM_GENERAL);
    buf_init(&second, alloc_libc(), MEM_GENERAL);
    catalog_encode(c, &first);
    CHECK(catalog_decode(&again, buf_slice(&first), NULL) == 0);
    catalog_encode(&again, &second);
    CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
    catalog_deinit(&again);
    buf_deinit(&first);
    buf_deinit(&second);
}

/* Drop what there is, then make one anew. */
static void change(struct catalog *c)
{
    struct catalog copy;
    struct catalog_collection entry = {.uuid = {{0xff, 0xfe}}, .database = "fuzz", .name = "one"};

    catalog_init(&copy, alloc_libc(), &c->root);
    CHECK(catalog_copy(&copy, c, NULL) == 0);
    while (copy.collection_count > 0) {
        struct catalog_collection e = copy.collections[copy.collection_count / 2];
        CHECK(catalog_drop_collection(&copy, e.database, e.name, NULL) == 0);
        CHECK(!catalog_find(&copy, e.database, e.name));
    }
    while (copy.database_count > 0)
        CHECK(catalog_drop_database(&copy, copy.databases[copy.database_count / 2], NULL) == 0);
    check_lists(&copy);
    while (copy.dropped_count > 0) catalog_forget_dropped(&copy, copy.dropped[0].number);
    if (copy.next_number < UINT32_MAX) {
        entry.number = (uint32_t)copy.next_number;
        CHECK(catalog_add_database(&copy, entry.database, NULL) == 0);
        CHECK(catalog_add_collection(&copy, &entry, NULL) == 0);
        check_lists(&copy);
        check_round_trip(&copy);
    }
    catalog_deinit(&copy);
}

static void check_body(struct slice body, bool is_changed)
{
    struct catalog c;
    struct uuid root = {{1}};
    struct error err = {0};

    catalog_init(&c, alloc_libc(), &root);
    if (catalog_decode(&c, body, &err) == 0) {
        check_lists(&c);
        check_owners(&c);
        check_round_trip(&c);
        if (is_changed) change(&c);
        check_lists(&c);
    } else {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW);
    }
    catalog_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf built;

    if (size == 0) return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    buf_init(&built, alloc_libc(), MEM_GENERAL);
    if ((data[0] & BIT_SCRIPT) != 0) build_body(rest, &built);
    CHECK(buf_ok(&built));
    check_body((data[0] & BIT_SCRIPT) != 0 ? buf_slice(&built) : rest, (data[0] & BIT_CHANGE) != 0);
    buf_deinit(&built);
    return 0;
}
