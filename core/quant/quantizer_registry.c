/* SPDX-License-Identifier: Apache-2.0 */
/* quantizer_registry.c — quantizers by number, and by the words of index modes. */
#include "quant/quantizer.h"

static const struct quantizer_vtab *const kinds[QUANTIZER_COUNT] = {
#define QUANTIZER_ENTRY(KIND, name) [QUANTIZER_##KIND] = &quantizer_##name,
    QUANTIZER_KINDS(QUANTIZER_ENTRY)
#undef QUANTIZER_ENTRY
};

const struct quantizer_vtab *quantizer_find(unsigned kind)
{
    return kind < QUANTIZER_COUNT ? kinds[kind] : NULL;
}

/* Whole, from 1; 0: it is no number that anybody writes. */
static uint32_t read_number(struct slice digits)
{
    uint32_t number = 0;

    if (digits.size == 0 || digits.size > 6 || digits.data[0] == '0') return 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return 0;
        number = number * 10 + (uint32_t)(digits.data[i] - '0');
    }
    return number;
}

bool quantizer_find_word(struct slice word, struct quantizer_spec *out)
{
    for (unsigned kind = 0; kind < QUANTIZER_COUNT; kind++) {
        const struct quantizer_vtab *q = kinds[kind];
        struct slice own = slice_of_text(q->mode_word);
        if (own.size == 0 || word.size < own.size ||
            !slice_equal_word(slice_of(word.data, own.size), own))
            continue;
        struct slice digits = slice_of(word.data + own.size, word.size - own.size);
        uint32_t number = q->number_high > 0 ? read_number(digits) : 0;
        if (digits.size > 0 && number == 0) continue;
        *out = (struct quantizer_spec){(enum quantizer_kind)kind, number};
        return true;
    }
    return false;
}
