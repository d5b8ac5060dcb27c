/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_record.c — payloads of log records: byte 0 is the kind, the payload follows. */
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "codec/msgpack.h"
#include "codec/record.h"
#include "fuzz/fuzz.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_view v, again;
    struct buf first, second;
    struct error err = {0};

    if (size == 0) return 0;
    enum record_kind kind = (enum record_kind)(RECORD_UPSERT + data[0] % 3);
    if (record_decode(kind, slice_of(data + 1, size - 1), &v, &err) != 0) {
        CHECK(err.code == LYNSE_CORRUPT || err.code == LYNSE_FORMAT_TOO_NEW ||
              err.code == LYNSE_UNSUPPORTED);
        return 0;
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
    return 0;
}
