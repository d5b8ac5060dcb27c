/* SPDX-License-Identifier: Apache-2.0 */
/* record_kinds.h — kinds of log records (FORMAT.md section 6).  Numbers are never reused. */
#ifndef CODEC_RECORD_KINDS_H
#define CODEC_RECORD_KINDS_H

/*    name     number */
#define RECORD_KINDS(_)                                                                            \
    _(UPSERT, 1)                                                                                   \
    _(DELETE, 2)                                                                                   \
    _(RESTORE, 3)                                                                                  \
    _(MARK, 4)                                                                                     \
    _(PAD, 5)

enum record_kind {
#define RECORD_KINDS_ENUM(name, number) RECORD_##name = number,
    RECORD_KINDS(RECORD_KINDS_ENUM)
#undef RECORD_KINDS_ENUM
};

#endif
