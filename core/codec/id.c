/* SPDX-License-Identifier: Apache-2.0 */
/* id.c — what a record may be called, and columns of such names.
 *
 * WHAT        Rules, order and hash of ids; their encoding in log records.
 * LAYOUT      id.h.
 * INVARIANTS  (1) The order is total, and the same everywhere: it breaks ties in results.
 *             (2) A length byte 0 marks an integer, so no text id is empty.
 *             (3) A column that id_column_open accepted holds valid ids only; next cannot fail.
 * THREADS     No state: any thread.
 * FAILURE     A column from outside is answered with CORRUPT and the number of the bad id.
 */
#include "codec/id.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "codec/quote.h"

int id_check(const struct record_id *id, struct error *err)
{
    char quoted[ID_TEXT_BYTES];
    if (!id->is_text) {
        if (id->number > LIMIT_INT_ID)
            return error_set(err, LYNSE_INVALID, "id %llu is over the largest integer id %llu",
                             (unsigned long long)id->number, (unsigned long long)LIMIT_INT_ID);
        return 0;
    }
    if (id->text.size == 0) return error_set(err, LYNSE_INVALID, "id is empty text");
    if (id->text.size > LIMIT_ID_BYTES)
        return error_set(err, LYNSE_LIMIT, "id %s of %zu bytes is over the limit of %d",
                         id_format(id, quoted), id->text.size, LIMIT_ID_BYTES);
    if (!utf8_is_valid(id->text.data, id->text.size))
        return error_set(err, LYNSE_INVALID, "id %s is not UTF-8", id_format(id, quoted));
    return 0;
}

int id_compare(const struct record_id *a, const struct record_id *b)
{
    if (a->is_text != b->is_text) return a->is_text ? 1 : -1;
    if (a->is_text) return slice_compare(a->text, b->text);
    return (a->number > b->number) - (a->number < b->number);
}

bool id_equal(const struct record_id *a, const struct record_id *b)
{
    if (a->is_text != b->is_text) return false;
    return a->is_text ? slice_equal(a->text, b->text) != 0 : a->number == b->number;
}

uint64_t id_hash(const struct record_id *id)
{
    return id->is_text ? hash_xxh3_64(id->text.data, id->text.size) : hash_u64(id->number);
}

const char *id_format(const struct record_id *id, char out[ID_TEXT_BYTES])
{
    if (id->is_text) return quote_text(id->text, out, ID_TEXT_BYTES);
    snprintf(out, ID_TEXT_BYTES, "%llu", (unsigned long long)id->number);
    return out;
}

/* ---- Columns ---- */

enum id_form id_column_form(const struct record_id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i].is_text) return ID_FORM_MIXED;
    return ID_FORM_INTEGERS;
}

void id_column_encode(const struct record_id *ids, size_t count, enum id_form form, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_id *id = &ids[i];
        if (id->is_text) {
            CHECK(form == ID_FORM_MIXED && id->text.size >= 1 && id->text.size <= LIMIT_ID_BYTES);
            buf_append_u8(out, (uint8_t)id->text.size);
            buf_append(out, id->text.data, id->text.size);
        } else {
            if (form == ID_FORM_MIXED) buf_append_u8(out, 0);
            buf_append_u64(out, id->number);
        }
    }
}

bool id_column_next(struct id_column *c, struct record_id *out_id)
{
    if (c->left == 0) return false;
    struct reader r = reader_of(c->rest);
    struct record_id id = id_of_number(0);
    uint8_t text_bytes = 0;
    if (c->form == ID_FORM_MIXED) read_u8(&r, &text_bytes);
    if (text_bytes > 0) id = id_of_text(reader_take(&r, text_bytes));
    else read_u64(&r, &id.number);
    if (r.failed) return false;
    *out_id = id;
    c->rest = slice_of(r.at, reader_left(&r));
    c->left--;
    return true;
}

int id_column_open(struct slice bytes, uint8_t form, size_t count, struct id_column *out_column,
                   size_t *out_size, struct error *err)
{
    if (form != ID_FORM_INTEGERS && form != ID_FORM_MIXED)
        return error_set(err, LYNSE_CORRUPT, "ids: unknown form %u", form);
    struct id_column start = {bytes, count, (enum id_form)form};
    struct id_column walk = start;
    struct record_id id;
    while (id_column_next(&walk, &id)) {
        struct error why;
        if (id_check(&id, &why) != 0)
            return error_set(err, LYNSE_CORRUPT, "ids: number %zu of %zu: %s", count - walk.left,
                             count, why.text);
    }
    if (walk.left > 0)
        return error_set(err, LYNSE_CORRUPT, "ids: %zu bytes hold %zu of %zu ids", bytes.size,
                         count - walk.left, count);
    if (!out_size && walk.rest.size > 0)
        return error_set(err, LYNSE_CORRUPT, "ids: %zu bytes behind %zu ids", walk.rest.size,
                         count);
    if (out_size) *out_size = bytes.size - walk.rest.size;
    *out_column = start;
    return 0;
}
