/* SPDX-License-Identifier: Apache-2.0 */
/* id.h — record ids: an integer 0..UINT64_MAX−1, or text of 1..255 bytes of UTF-8.
 *
 * 5 and "5" differ.  Integers come before text; integers are ordered by value, text by bytes.
 * A record_id borrows its text.  No state: any thread.
 */
#ifndef CODEC_ID_H
#define CODEC_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct record_id {
    uint64_t number;   /* integer ids; 0 for text */
    struct slice text; /* text ids, borrowed; {NULL, 0} for integers */
    bool is_text;
};

static inline struct record_id id_of_number(uint64_t number)
{
    return (struct record_id){number, {NULL, 0}, false};
}
static inline struct record_id id_of_text(struct slice text)
{
    return (struct record_id){0, text, true};
}

/* err: INVALID for empty text, text that is not UTF-8, and UINT64_MAX; LIMIT for text over
 * LIMIT_ID_BYTES. */
int id_check(const struct record_id *id, struct error *err);

int id_compare(const struct record_id *a, const struct record_id *b); /* <0, 0, >0 */
bool id_equal(const struct record_id *a, const struct record_id *b);
uint64_t id_hash(const struct record_id *id); /* the same in every build and on every machine */

/* For error texts: 42, or 'text' quoted and cut as by quote_text.  Returns out. */
enum { ID_TEXT_BYTES = 64 };
const char *id_format(const struct record_id *id, char out[ID_TEXT_BYTES]);

/* ---- Columns of ids: the body of the IDS field of log records ----
 *
 * form 0 (INTEGERS): n × u64.  form 1 (MIXED): per id u8 length: 0 = a u64 follows, else that many
 * bytes of text. */
enum id_form { ID_FORM_INTEGERS = 0, ID_FORM_MIXED = 1 };

/* INTEGERS when no id is text. */
enum id_form id_column_form(const struct record_id *ids, size_t count);
/* Append ids that passed id_check, in a form that has room for them (CHECK). */
void id_column_encode(const struct record_id *ids, size_t count, enum id_form form,
                      struct buf *out);

struct id_column { /* walks a column from the front; read `left` at will */
    struct slice rest;
    size_t left; /* ids to come */
    enum id_form form;
};

/* Check that `bytes` begins with a column of `count` valid ids and stand before its first one.
 * out_size  bytes of the column; may be NULL, and then they must be all of `bytes`
 * err       CORRUPT: names what is wrong. */
int id_column_open(struct slice bytes, uint8_t form, size_t count, struct id_column *out_column,
                   size_t *out_size, struct error *err);
/* The next id, its text in the column's bytes; false at the end. */
bool id_column_next(struct id_column *c, struct record_id *out_id);

#endif
