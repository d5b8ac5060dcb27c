/* SPDX-License-Identifier: Apache-2.0 */
/* index_mode.c — index modes: read, written, refused with what there is instead.
 *
 * WHAT        KIND-METRIC or KIND-METRIC-QUANTIZER.  A metric's word may have a '-' in it
 *             ("JENSEN-SHANNON"): what follows the kind is a metric, or else all of it but its last
 *             part is.  What the registries have and their tables say goes together is a mode.
 *             What they lack is looked for in the list of what is planned, so that a slip of the
 *             pen is told from what comes with a later version; a planned thing that has its line
 *             in a registry is found there first, and its words here have no effect.
 * INVARIANTS  (1) What is read makes sense, and what makes sense is read as it is written.
 *             (2) An error lists nothing that would itself be refused.
 * THREADS     Any.
 * FAILURE     The error says what there is; a refused mode leaves the output as it was.
 */
#include "index/index_mode.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/suggest.h"
#include "codec/quote.h"

enum { LIST_BYTES = 160 }; /* what an error says there is */

/* Words separated by one space, each kind with each metric, alone or with a quantizer. */
static const struct {
    const char *kinds, *metrics, *quantizers;
} planned[] = {
    {"FLAT HNSW IVF SPANN DISKANN", "IP L2 COS COSINE", "SQ8 SQ4 PQ RABITQ POLARVEC"},
    {"IVF", "HAMMING HAMMING-BINARY JACCARD JACCARD-BINARY", ""},
    {"HNSW",
     "L1 MANHATTAN CITYBLOCK HAVERSINE HAVERSINE-M GEO CORRELATION PEARSON HELLINGER WASSERSTEIN "
     "WASSERSTEIN-1D WASSERSTEIN1D EMD JENSEN-SHANNON JENSENSHANNON JS CHEBYSHEV CHEBYCHEV LINF",
     ""},
};
enum { PLANNED_COUNT = sizeof planned / sizeof *planned };

/* The parts of a mode; data NULL: it has none. */
struct mode_words {
    struct slice all, kind, metric, quantizer;
};

/* ---- What there is ---- */

bool index_mode_makes_sense(const struct index_mode *mode)
{
    const struct index_vtab *kind = index_find(mode->kind);
    const struct metric_info *metric = metric_find(mode->metric);
    const struct quantizer_spec *spec = &mode->quantizer;
    const struct quantizer_vtab *quantizer = quantizer_find(spec->kind);

    if (!kind || !metric || !quantizer || mode->is_auto) return false;
    if (!kind->takes) return spec->kind == QUANTIZER_RAW && spec->number == 0;
    if (!kind->takes(metric, spec->kind)) return false;
    if (spec->kind == QUANTIZER_RAW) return spec->number == 0;
    if (!quantizer->mode_word || (quantizer->takes && !quantizer->takes(metric))) return false;
    return spec->number == 0 ||
           (spec->number >= quantizer->number_low && spec->number <= quantizer->number_high);
}

static void to_upper(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'a' && *text <= 'z') *text = (char)(*text - 'a' + 'A');
}

void index_mode_format(const struct index_mode *mode, char *out, size_t size)
{
    const struct index_vtab *kind = index_find(mode->kind);
    const struct metric_info *metric = metric_find(mode->metric);
    const struct quantizer_vtab *quantizer = quantizer_find(mode->quantizer.kind);
    char number[12] = "";

    *out = '\0';
    if (!kind || !metric || !quantizer) return;
    if (mode->quantizer.number > 0) snprintf(number, sizeof number, "%u", mode->quantizer.number);
    snprintf(out, size, "%s-%.*s%s%s%s", kind->name, (int)strcspn(metric->mode_words, " "),
             metric->mode_words, quantizer->mode_word ? "-" : "",
             quantizer->mode_word ? quantizer->mode_word : "", number);
    to_upper(out);
}

/* ---- What is planned ---- */

/* "PQ" of "PQ16", but SQ8 as it is. */
static bool is_planned_quantizer(struct slice word, const char *words)
{
    if (slice_is_word_of(word, words)) return true;
    while (word.size > 0 && word.data[word.size - 1] >= '0' && word.data[word.size - 1] <= '9')
        word.size--;
    return slice_is_word_of(word, words);
}

/* A kind alone is planned too: it lacks only what it would lack later as well. */
static bool is_planned(const struct mode_words *w)
{
    for (size_t i = 0; i < PLANNED_COUNT; i++) {
        if (!slice_is_word_of(w->kind, planned[i].kinds)) continue;
        if (!w->metric.data) return true;
        if (!slice_is_word_of(w->metric, planned[i].metrics)) continue;
        if (!w->quantizer.data || is_planned_quantizer(w->quantizer, planned[i].quantizers))
            return true;
    }
    return false;
}

/* ---- Refusals ---- */

/* What an error says there is: "IP, L2, COS", cut where it is long. */
struct word_list {
    char text[LIST_BYTES];
    size_t used;
};

static void list_add(struct word_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void list_add(struct word_list *list, const char *format, ...)
{
    char word[40];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    to_upper(word);
    const char *between = list->used > 0 ? ", " : "";
    size_t bytes = strlen(between) + strlen(word);
    if (bytes >= LIST_BYTES - list->used) return;
    snprintf(list->text + list->used, LIST_BYTES - list->used, "%s%s", between, word);
    list->used += bytes;
}

static void list_kinds(struct word_list *out)
{
    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++)
        if (index_find(kind)) list_add(out, "%s", index_find(kind)->name);
    list_add(out, "AUTO");
}

/* Those that the kind takes with this quantizer. */
static void list_metrics(enum index_kind kind, enum quantizer_kind quantizer, struct word_list *out)
{
    for (unsigned metric = 1; metric <= METRIC_MAX; metric++) {
        struct index_mode mode = {kind, (enum metric)metric, {quantizer, 0}, false};
        const char *words = metric_find(metric)->mode_words;
        if (index_mode_makes_sense(&mode)) list_add(out, "%.*s", (int)strcspn(words, " "), words);
    }
}

static void list_quantizers(enum index_kind kind, enum metric metric, struct word_list *out)
{
    for (unsigned i = 0; i < QUANTIZER_COUNT; i++) {
        const struct quantizer_vtab *q = quantizer_find(i);
        struct index_mode mode = {kind, metric, {(enum quantizer_kind)i, 0}, false};
        if (i == QUANTIZER_RAW || !index_mode_makes_sense(&mode)) continue;
        if (q->number_high > 0)
            list_add(out, "%s[%u-%u]", q->mode_word, q->number_low, q->number_high);
        else list_add(out, "%s", q->mode_word);
    }
}

/* The modes of all kinds that compare by this metric, with this quantizer. */
static void list_modes(enum metric metric, enum quantizer_kind quantizer, struct word_list *out)
{
    char word[INDEX_MODE_BYTES];

    for (unsigned kind = 1; kind <= INDEX_KIND_MAX; kind++) {
        struct index_mode mode = {(enum index_kind)kind, metric, {quantizer, 0}, false};
        if (!index_mode_makes_sense(&mode)) continue;
        index_mode_format(&mode, word, sizeof word);
        list_add(out, "%s", word);
    }
}

/* The mode that is nearest to what was written, into best; "" when none is near. */
static void suggest_mode(struct slice given, char best[INDEX_MODE_BYTES])
{
    const unsigned count = INDEX_KIND_MAX * METRIC_MAX * QUANTIZER_COUNT;
    char upper[SUGGESTION_BYTES_MAX + 1] = "", word[INDEX_MODE_BYTES];
    struct suggestion near;

    *best = '\0';
    if (given.size == 0 || given.size > SUGGESTION_BYTES_MAX) return;
    memcpy(upper, given.data, given.size);
    to_upper(upper);
    suggestion_begin(&near, slice_of(upper, given.size));
    for (unsigned i = 0; i < count; i++) {
        struct index_mode mode = {
            .kind = (enum index_kind)(i / QUANTIZER_COUNT / METRIC_MAX + 1),
            .metric = (enum metric)(i / QUANTIZER_COUNT % METRIC_MAX + 1),
            .quantizer.kind = (enum quantizer_kind)(i % QUANTIZER_COUNT),
        };
        if (!index_mode_makes_sense(&mode)) continue;
        index_mode_format(&mode, word, sizeof word);
        suggestion_offer(&near, word);
        if (near.best != word) continue;
        memcpy(best, word, sizeof word);
        near.best = best;
    }
}

/* HNSW-SQ8-COS: the right words in the wrong order. */
static void suggest_order(const struct mode_words *w, enum index_kind kind,
                          char best[INDEX_MODE_BYTES])
{
    const struct metric_info *metric =
        metric_find_mode((const char *)w->quantizer.data, w->quantizer.size);
    struct index_mode mode = {.kind = kind};

    *best = '\0';
    if (kind == INDEX_NONE || !metric || !quantizer_find_word(w->metric, &mode.quantizer)) return;
    mode.metric = metric->metric;
    if (index_mode_makes_sense(&mode)) index_mode_format(&mode, best, INDEX_MODE_BYTES);
}

/* Each word is known, so that none was misspelled: what each of them goes together with. */
static int refuse_together(const struct index_mode *found, const char *quoted, struct error *err)
{
    const struct quantizer_vtab *quantizer = quantizer_find(found->quantizer.kind);
    struct word_list metrics = {.used = 0}, modes = {.used = 0};

    list_metrics(found->kind, found->quantizer.kind, &metrics);
    list_modes(found->metric, found->quantizer.kind, &modes);
    if (modes.used == 0) list_modes(found->metric, QUANTIZER_RAW, &modes);
    return error_set(
        err, LYNSE_INVALID,
        "index_mode: unsupported index/metric combination %s; there are %s; %s%s%s "
        "has %s",
        quoted, modes.text, index_find(found->kind)->name, quantizer->mode_word ? " with " : "",
        quantizer->mode_word ? quantizer->mode_word : "", metrics.used > 0 ? metrics.text : "none");
}

static int refuse(const struct mode_words *w, const struct index_mode *found, struct error *err)
{
    char quoted[QUOTE_BYTES], near[INDEX_MODE_BYTES], meant[INDEX_MODE_BYTES + 20] = "";
    struct word_list list = {.used = 0};
    bool has_kind = found->kind != INDEX_NONE, is_later = is_planned(w);

    quote_text(w->all, quoted, sizeof quoted);
    if (has_kind && w->metric.data && w->quantizer.data && found->metric)
        list_quantizers(found->kind, found->metric, &list);
    if (!has_kind) list_kinds(&list);
    else if (list.used == 0) list_metrics(found->kind, QUANTIZER_RAW, &list);
    if (has_kind && !w->metric.data)
        return error_set(err, LYNSE_INVALID,
                         "index_mode: unsupported index/metric combination %s: it names no metric; "
                         "%s has %s",
                         quoted, index_find(found->kind)->name, list.text);
    if (is_later)
        return error_set(
            err, LYNSE_UNSUPPORTED,
            "index_mode: unsupported index/metric combination %s: it is " INDEX_KINDS_LACK "; "
            "%s has %s",
            quoted, has_kind ? index_find(found->kind)->name : "this version", list.text);
    if (has_kind && found->metric && (!w->quantizer.data || found->quantizer.kind != QUANTIZER_RAW))
        return refuse_together(found, quoted, err);
    suggest_order(w, found->kind, near);
    if (!*near) suggest_mode(w->all, near);
    if (*near) snprintf(meant, sizeof meant, "; did you mean '%s'?", near);
    if (!has_kind)
        return error_set(err, LYNSE_INVALID, "index_mode: unknown index type %s%s%s there are %s",
                         quoted, meant, *near ? "" : ";", list.text);
    return error_set(err, LYNSE_INVALID,
                     "index_mode: unsupported index/metric combination %s%s%s %s has %s", quoted,
                     meant, *near ? "" : ";", index_find(found->kind)->name, list.text);
}

/* ---- Reading ---- */

static struct mode_words split(struct slice all)
{
    struct mode_words w = {.all = all, .kind = all};
    const uint8_t *dash = all.size > 0 ? memchr(all.data, '-', all.size) : NULL;

    if (!dash) return w;
    w.kind.size = (size_t)(dash - all.data);
    w.metric = slice_of(dash + 1, all.size - w.kind.size - 1);
    if (metric_find_mode((const char *)w.metric.data, w.metric.size)) return w;
    size_t last = w.metric.size;
    while (last > 0 && w.metric.data[last - 1] != '-') last--;
    if (last == 0) return w;
    w.quantizer = slice_of(w.metric.data + last, w.metric.size - last);
    w.metric.size = last - 1;
    return w;
}

/* PQ0, PQ016, PQ99999999: digits that are none of its numbers; NULL: not such a word, or the mode
 * would make no sense with another number. */
static const struct quantizer_vtab *find_misnumbered(struct slice word, struct index_mode mode)
{
    struct slice letters = word;

    while (letters.size > 0 && letters.data[letters.size - 1] >= '0' &&
           letters.data[letters.size - 1] <= '9')
        letters.size--;
    for (unsigned i = 0; i < QUANTIZER_COUNT && letters.size < word.size; i++) {
        const struct quantizer_vtab *q = quantizer_find(i);
        mode.quantizer = (struct quantizer_spec){(enum quantizer_kind)i, 0};
        if (q->number_high > 0 && slice_is_word_of(letters, q->mode_word))
            return index_mode_makes_sense(&mode) ? q : NULL;
    }
    return NULL;
}

static int read_quantizer(const struct mode_words *w, struct index_mode *mode, struct error *err)
{
    struct quantizer_spec *spec = &mode->quantizer;
    bool is_found = quantizer_find_word(w->quantizer, spec);
    const struct quantizer_vtab *q = quantizer_find(spec->kind);
    const struct quantizer_vtab *own = is_found ? NULL : find_misnumbered(w->quantizer, *mode);

    if (own) {
        size_t letters = strlen(own->mode_word);
        return error_set(err, LYNSE_LIMIT, "index_mode: %s: %.*s, allowed are %u to %u",
                         own->mode_word, (int)(w->quantizer.size - letters),
                         (const char *)w->quantizer.data + letters, own->number_low,
                         own->number_high);
    }
    if (is_found && q->number_high > 0 && spec->number > 0 &&
        (spec->number < q->number_low || spec->number > q->number_high))
        return error_set(err, LYNSE_LIMIT, "index_mode: %s: %u, allowed are %u to %u", q->mode_word,
                         spec->number, q->number_low, q->number_high);
    return is_found && index_mode_makes_sense(mode) ? 0 : refuse(w, mode, err);
}

int index_mode_parse(const char *text, struct index_mode *out, struct error *err)
{
    struct slice all = slice_of_text(text);
    if (slice_is_word_of(all, "default")) all = slice_of_text("FLAT-IP");
    struct mode_words w = split(all);
    const struct metric_info *metric = metric_find_mode((const char *)w.metric.data, w.metric.size);
    struct index_mode mode = {.kind = index_find_name((const char *)w.kind.data, w.kind.size)};

    if (metric) mode.metric = metric->metric;
    mode.is_auto =
        slice_is_word_of(w.kind, "auto") && !w.quantizer.data && (metric || !w.metric.data);
    if (!mode.is_auto) {
        if (mode.kind == INDEX_NONE || !metric) return refuse(&w, &mode, err);
        if (w.quantizer.data && read_quantizer(&w, &mode, err) != 0) return -1;
        if (!index_mode_makes_sense(&mode)) return refuse(&w, &mode, err);
    }
    *out = mode;
    return 0;
}
