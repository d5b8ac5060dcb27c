/* SPDX-License-Identifier: Apache-2.0 */
/* record_kinds.h — kinds of log records, and the fields of their payloads (FORMAT.md section 6).
 * Numbers are never reused.
 *
 * To add a kind of row record: a line here, record_encode_<kind>, and what replay does with it,
 * replay_<kind> in collection_apply.c.  To add a field: a line, and decode_<field> in record.c.
 */
#ifndef CODEC_RECORD_KINDS_H
#define CODEC_RECORD_KINDS_H

#include <stdbool.h>

/* What changes rows; groups are made of these.
 *    name    number  kind    field that it must have, besides ids */
#define RECORD_ROW_KINDS(_)                                                                        \
    _(UPSERT, 1, upsert, VECTORS)                                                                  \
    _(DELETE, 2, delete, IDS)                                                                      \
    _(RESTORE, 3, restore, VERSIONS)

/* What stands between groups, and changes nothing.
 *    name  number */
#define RECORD_FILLER_KINDS(_)                                                                     \
    _(MARK, 4)                                                                                     \
    _(PAD, 5)

/*    tag   number  field */
#define RECORD_FIELDS(_)                                                                           \
    _(IDS, 1, ids)                                                                                 \
    _(VECTORS, 2, vectors)                                                                         \
    _(DOCUMENTS, 3, documents)                                                                     \
    _(VERSIONS, 4, versions)                                                                       \
    _(REQUEST_ID, 5, request_id)

enum record_kind {
#define RECORD_ROW_NUMBER(name, number, kind, must_have) RECORD_##name = number,
    RECORD_ROW_KINDS(RECORD_ROW_NUMBER)
#undef RECORD_ROW_NUMBER
#define RECORD_FILLER_NUMBER(name, number) RECORD_##name = number,
        RECORD_FILLER_KINDS(RECORD_FILLER_NUMBER)
#undef RECORD_FILLER_NUMBER
};

enum record_tag {
#define RECORD_TAG_NUMBER(tag, number, field) RECORD_##tag = number,
    RECORD_FIELDS(RECORD_TAG_NUMBER)
#undef RECORD_TAG_NUMBER
};

/* Of any byte. */
static inline bool record_kind_has_rows(unsigned number)
{
    switch (number) {
#define RECORD_ROW_CASE(name, number, kind, must_have) case RECORD_##name:
        RECORD_ROW_KINDS(RECORD_ROW_CASE)
#undef RECORD_ROW_CASE
        return true;
    default:
        return false;
    }
}

static inline bool record_kind_is_filler(unsigned number)
{
    switch (number) {
#define RECORD_FILLER_CASE(name, number) case RECORD_##name:
        RECORD_FILLER_KINDS(RECORD_FILLER_CASE)
#undef RECORD_FILLER_CASE
        return true;
    default:
        return false;
    }
}

#endif
