/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_record.c — payloads of log records: byte 0 is the kind, the payload follows.  With bit 7 it
 * is
 * written by a script whose bytes are counts, lengths and what is wrong with an offset. */
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "codec/msgpack.h"
#include "codec/record.h"
#include "codec/tagged.h"
#include "fuzz/fuzz.h"

enum { BIT_SCRIPT = 0x80 };

/* ---- a payload from a script ---- */

static uint8_t next_byte(struct slice *script)
{
    if (script->size == 0) return 0;
    script->size--;
    return *script->data++;
}

/* An integer, or text of some length. */
static void add_ids(struct slice *script, uint32_t count, struct buf *out)
{
    static const uint8_t text[UINT8_MAX] = {'a'};
    size_t begin = tagged_begin(out, RECORD_IDS, TAGGED_REQUIRED, count);
    buf_append_u64(out, ID_FORM_MIXED);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t b = next_byte(script);
        buf_append_u8(out, b < 128 ? 0 : (uint8_t)(b - 127));
        if (b < 128) buf_append_u64(out, b);
        else buf_append(out, text, b - 127u);
    }
    tagged_end(out, begin);
}

static void add_vectors(struct slice *script, uint32_t count, struct buf *out)
{
    uint32_t dim = next_byte(script) % 4;
    size_t begin = tagged_begin(out, RECORD_VECTORS, TAGGED_REQUIRED, 0);
    buf_append_u8(out, VECTOR_DENSE);
    buf_append_u8(out, STORAGE_F32);
    buf_append_u16(out, 0);
    buf_append_u32(out, dim);
    for (uint32_t i = 0; i < count * dim; i++)
        buf_append_u32(out, (uint32_t)next_byte(script) << 23);
    tagged_end(out, begin);
}

/* A byte a document: bits 0..1 which one, bits 2..4 by how much its end is wrong. */
static void add_documents(struct slice *script, uint32_t count, struct buf *out)
{
    static const char *const documents[] = {"", "\x80", "\x81\xa1k\x01", "\x81\xa1k\xc1"};
    static const int wrong[] = {0, 0, 0, 0, 1, -1, 4, 1 << 30};
    size_t begin = tagged_begin(out, RECORD_DOCUMENTS, TAGGED_REQUIRED, count);
    struct slice again = *script;
    uint32_t end = 0;

    buf_append_u32(out, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t b = next_byte(script);
        end += (uint32_t)strlen(documents[b & 3]);
        buf_append_u32(out, end + (uint32_t)wrong[b >> 2 & 7]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *document = documents[next_byte(&again) & 3];
        buf_append(out, document, strlen(document));
    }
    tagged_end(out, begin);
}

static void build_payload(struct slice script, struct buf *out)
{
    uint8_t fields = next_byte(&script), count = next_byte(&script) % 16;

    add_ids(&script, count, out);
    if ((fields & 1) == 0) add_vectors(&script, count, out);
    if ((fields & 2) == 0) add_documents(&script, count, out);
    if ((fields & 4) == 0) return;
    size_t begin = tagged_begin(out, RECORD_VERSIONS, TAGGED_REQUIRED, count);
    for (uint8_t n = (uint8_t)(count + (fields >> 7)); n > 0; n--) buf_append_u64(out, n);
    tagged_end(out, begin);
}

/* ---- what must hold of any payload ---- */

/* Rows of a view, taken out of it as replay does. */
struct rows {
    struct record_id *ids;
    struct slice *documents;
    float *vectors;
    uint64_t *versions;
    uint64_t sum; /* of every byte that was handed out, for the sanitizers */
};

static void *take_memory(size_t count, size_t bytes)
{
    void *p = calloc(count + 1, bytes);
    CHECK(p);
    return p;
}

static void read_rows(const struct record_view *v, struct rows *out)
{
    struct id_column ids = v->ids;
    size_t components = v->count * v->dim;

    *out = (struct rows){
        .ids = take_memory(v->count, sizeof *out->ids),
        .documents = take_memory(v->count, sizeof *out->documents),
        .vectors = take_memory(v->vectors ? components : 0, sizeof *out->vectors),
        .versions = take_memory(v->count, sizeof *out->versions),
    };
    for (size_t i = 0; i < v->count; i++) {
        CHECK(id_column_next(&ids, &out->ids[i]) && id_check(&out->ids[i], NULL) == 0);
        out->sum ^= id_hash(&out->ids[i]);
        out->documents[i] = record_document(v, i);
        struct slice d = out->documents[i];
        if (d.size > 0) CHECK(document_check(d, NULL) == 0);
        if (v->versions) out->versions[i] = load_u64(v->versions + i * sizeof(uint64_t));
        out->sum ^= out->versions[i];
    }
    CHECK(ids.left == 0);
    if (v->vectors) memcpy(out->vectors, v->vectors, components * sizeof(float));
    for (size_t i = 0; v->vectors && i < components; i++) CHECK(isfinite(out->vectors[i]));
}

static void free_rows(struct rows *r)
{
    free(r->ids);
    free(r->documents);
    free(r->vectors);
    free(r->versions);
}

static void encode(const struct record_view *v, struct buf *out)
{
    struct rows r;

    read_rows(v, &r);
    if (v->kind == RECORD_UPSERT) {
        struct record_rows rows = {r.ids, v->count, r.vectors, v->dim, r.documents};
        size_t bytes_max = record_upsert_bytes(&rows);
        record_encode_upsert(out, &rows);
        CHECK(out->size <= bytes_max);
    } else if (v->kind == RECORD_RESTORE) {
        record_encode_restore(out, r.ids, r.versions, v->count);
    } else {
        record_encode_delete(out, r.ids, v->count);
    }
    CHECK(buf_ok(out));
    free_rows(&r);
}

static void check_payload(enum record_kind kind, struct slice payload)
{
    struct record_view v, again;
    struct buf first, second;
    struct error err = {0};

    if (record_decode(kind, payload, &v, &err) != 0) {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
              err.code == LYNSE_UNSUPPORTED);
        return;
    }
    CHECK(v.kind == kind && v.count > 0);
    buf_init(&first, alloc_libc(), MEM_GENERAL);
    buf_init(&second, alloc_libc(), MEM_GENERAL);
    encode(&v, &first);
    CHECK(record_decode(kind, buf_slice(&first), &again, &err) == 0 && again.count == v.count);
    encode(&again, &second);
    CHECK(slice_equal(buf_slice(&first), buf_slice(&second)));
    buf_deinit(&first);
    buf_deinit(&second);
}

/* In a block that ends where the payload does. */
static void check_script(enum record_kind kind, struct slice script)
{
    struct buf built;

    buf_init(&built, alloc_libc(), MEM_GENERAL);
    build_payload(script, &built);
    uint8_t *exact = take_memory(0, built.size);
    memcpy(exact, built.data, built.size);
    check_payload(kind, slice_of(exact, built.size));
    free(exact);
    buf_deinit(&built);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct slice rest = slice_of(data + 1, size - 1);
    enum record_kind kind = (enum record_kind)(RECORD_UPSERT + (data[0] & 0x7fu) % 3);
    if ((data[0] & BIT_SCRIPT) != 0) check_script(kind, rest);
    else check_payload(kind, rest);
    return 0;
}
