/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "crashlab/lab.h"

/* Those of the recovery model (tests/model/recovery_model.py), the first regression list, and what
 * was found since; each with the collection in level `always` at the start. */
const char *const lab_histories[] = {
    "w:a1 w:b2",
    "w:a1|b2|c3 w:d4",
    "w:a1,b2 w:c3",
    "W:a1 w:b2 w:c3",
    "w:a1 mark w:b2 close w:c3",
    "w:a1 sync w:b2 w:c3 w:d4",
    "w:a1 ckpt w:b2",
    "w:a1 seal w:b2 seal",
    "w:a1,b2 seal w:-a seal w:c3",
    "w:a1,b2 seal w:-a seal0 ckpt w:+a",
    "w:a1,b2 freeze w:-a w:c3 seal w:d4",
    "w:a1,b2 w:-a freeze w:+a w:c3 seal w:d4",
    "w:a1,b2 seal w:-a freeze w:+a seal",
    "w:a1 w:a2 w:a3 ckpt w:a4",
    "w:a1,b2 w:c3 ckpt w:d4,e5 w:f6 ckpt w:g7",
    "w:a1,b2 seal w:a3 seal0 w:b4 seal0 ckpt",
    "w:a1 w:a1 w:a1",
    "w:a1,b2 seal w:c3,d4 freeze w:-c w:-a seal w:e5",
    "close ckpt w:a1 close",
    "w:a1|b2 w:a1",
    "w:a1 w:-a w:a2|+a w:-a|+a",
    "w:a1 close close w:b2 w:c3 ckpt",
    "w:a1 mode:none w:b2 seal mode:always w:c3",
    "w:a1 ckpt mode:none w:b2 mode:always w:c3",
    "w:a1 sync0 w:b2 sync1 w:c3",
    "w:a1 w:a2 seal w:b3",
    "w:a1 sync mark w:b2 mark sync w:c3 close w:d4",
    /* A record behind the torn end vouched for what shared its block, so that a close did not. */
    "W:a1 mode:os w1:b2 w:c3 w:d4 w:e5 close w:f6 close",
    /* Versions of a hook are counted on when it is dropped, and by manifests made for others. */
    "hook w:a1 hook seal unhook w:b2 close hook ckpt",
    "q:a1 q:b2|c3 again q:-a w:+a again close again",
    "q:a1,b2 q:#2 seal q:-a again ckpt q:c3 again close again q:d4 again",
    "q:a1 freeze q:b2 q:-a build q:c3 seal again q:d4 again",
    "mode:os q:a1 q1:b2 q:c3 sync q:d4 again ckpt q:e5",
    "mode:none q:a1 freeze q:b2 seal q:c3 describe q:d4 mode:always again q:e5",
    "mode:interval q:a1 q:b2 seal q:#3 again ckpt q:=b3 q:!c4 again",
    "w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal merge w:-a close w:e5",
    "w:a1,b2,c3,d4 seal w:a5,b6,c7,e8 seal w:-b merge0 w:-d w:+b w:-e merge w:+d ckpt w:f6",
    "w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal merge0 w:e1,f2,g3,h4 seal w:a7 merge close w:-b",
    "w:a1,b2,c3,d4 seal w:e1,f2,g3,h4 seal w:i1,j2,k3,l4 seal w:m1,n2,o3,p4 seal merge0 w:-a w:-e "
    "freeze w:-i merge w:+a seal w:b9 close",
    "mode:none w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal w:-a merge w:-b seal merge w:e5 mode:always",
    "mode:os w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal w:-a merge0 w:e5 merge sync w:+a ckpt",
    /* What `always` promised stands in the log still when a merge in `none` is published. */
    "w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal w:e1 mode:none merge w:f2",
    "w:a1,b2,c3,d4 seal w:a5,b6,c7,d8 seal w:-b w:e1 mode:none w:f2 merge0 w:-c merge close w:g3",
    "q:a1 q:b2 q:c3 q:d4 q:e5 q:f6 q:g7 q:h8 q:i9 q:j1 q:k2 q:l3 again q:m4 q:n5 seal again",
    /* A file that is half there is no index, and one that a crash left is garbage. */
    "w:a1,b2,c3,d4,e5 seal graph indexed w:-a w:f6 close indexed",
    "w:a1,b2,c3,d4,e5 graph seal indexed w:a2 index indexed graph indexed",
    "w:a1,b2,c3,d4,e5 graph freeze w:-b seal w:a2,f6,g7,h8 seal indexed ckpt close indexed",
    "graph w:a1,b2,c3,d4 seal indexed w:a5,b6,c7,d8 seal indexed merge w:-a indexed close indexed",
    /* A merged segment comes with its index, whatever happens while that is built. */
    "graph w:a1,b2,c3,d4 seal indexed w:e5,f6,g7,h8 seal indexed w:-a w:-b w:-c w:-d merge0 w:e1 "
    "merge1 w:-f w:+a freeze w:i9 seal merge ckpt close indexed",
    "graph w:a1,b2,c3,d4,e5 seal indexed w:a5,b6,c7,d8 seal indexed merge1 w:-e merge0 merge1 "
    "w:i1,j2,k3,l4 seal indexed w:-e merge close w:-b",
    "graph w:a1,b2,c3,d4,e5 seal indexed w:a5,b6,c7,d8,f1 seal indexed merge0 merge1 index merge "
    "w:a6 graph indexed ckpt",
    "graph w:a1,b2,c3,d4,e5 seal indexed w:a5,b6,c7,d8,f1 seal indexed merge0 merge1 index graph "
    "w:-e merge w:a6 indexed close",
    "mode:none graph w:a1,b2,c3,d4,e5 seal indexed w:a5,b6,c7,d8,f1 seal indexed merge0 w:-e "
    "merge1 w:-f w:g3 merge seal w:+e mode:always w:h4 close indexed",
    "graph w:a1,b2,c3,d4,e5 seal indexed w:a5,b6,c7,d8,f1 seal indexed w:-f mode:none w:g2 merge1 "
    "merge w:-g merge close w:h3",
    NULL,
};

const char *const lab_root_histories[] = {
    "create:0 w:a1 w:b2 drop:0",
    "create:0 w:a1 ckpt w:b2 drop:0",
    "create:0 w:a1 create:1 w:b2 use:0 drop:1 w:c3 close create:1 w:a1",
    "create:0 w:a1 create:1 w:b2 create:2 drop:all create:1 w:c3",
    "create:0 w:a1 create:2 w:b2 close drop:0 drop:all",
    "create:0 W:a1,b2,c3 seal full w:-a seal room seal w:d4 close w:e5",
    "create:0 W:a1,b2,c3 seal close full w:-a w:-b ckpt close w:-c drop:0 room create:0 w:f6",
    "create:0 w:a1,b2,c3,d4,e5 graph w:-a w:a2,f6,g7,h8 seal idle close idle index drop:0",
    /* The tail is sealed in quiet, gets an index, and is merged. */
    "create:0 w:a1,b2,c3,d4,e5 graph idle w:f6,g7,h8 quiet w:-a w:a2,i9 quiet w:b3 close drop:0",
    "create:0 mode:none w:a1,b2,c3,d4,e5 graph idle w:f6,g7,h8,i9 w:-a quiet w:a2 quiet mode:os "
    "w:b3,k1,l2 quiet close quiet",
    "create:0 hook w:a1 hook ckpt create:1 unhook hook use:0 unhook close hook drop:1",
    NULL,
};

/* ---- failing disks ---- */

void lab_sweep(uint64_t i, struct history *out)
{
    static const char *const words[] = {
        "w:a1 w:b2|c3 w:-a w:d4 mark w:e5 close w:f6",
        "mode:os w:a1,b2 sync w:c3|d4 ckpt w:-a w:e5 seal w:f6",
        "W:a1 W:b2 W:c3 W:d4|e5 W:e6 ckpt W:f6 W:g7 close",
        /* No seal works, two tails wait and the third is full: a4 is refused, and what follows it
         * finds the a before. */
        "w:a1,b1,c1,d1,e1,f1,g1,h1,i1,j1,k1,l1,m1,n1,o1,p1 seal "
        "w:a2,b2,c2,d2,e2,f2,g2,h2,i2,j2,k2,l2,m2,n2,o2,p2 "
        "w:a3,b3,c3,d3,e3,f3,g3,h3,i3,j3,k3,l3,m3,n3,o3,p3 w:-a w:a4|+a|b5 w:-b",
        "q:a1 q:b2|c3 mark q1:d4 q:-a seal q:e5 close q:f6|+a",
    };
    static const unsigned kinds[] = {FAULTY_WRITE, FAULTY_WRITE, FAULTY_SYNC, FAULTY_DIR_SYNC,
                                     FAULTY_RENAME};
    static const int codes[] = {EIO, ENOSPC, EIO, EIO, ENOSPC};
    uint64_t kind = i / 16 % 5;

    *out = (struct history){.ops = &collection_target, .seed = i + 1, .words = words[i / 80]};
    out->fault = (struct faulty_plan){
        .kinds = kinds[kind], .os_errno = codes[kind], .nth = 1 + i % 16, .is_short = kind == 1};
}

/* ---- by chance ---- */

/* Kinds of words; a seed switches some off. */
enum word_kind {
    WORD_PUT,
    WORD_GROUP,
    WORD_BATCH,
    WORD_LARGE,
    WORD_DELETE,
    WORD_RESTORE,
    WORD_KEEP,
    WORD_ADD,
    WORD_AUTO,
    WORD_LEVEL,
    WORD_FREEZE,
    WORD_BUILD,
    WORD_SEAL,
    WORD_CANCEL,
    WORD_MERGE_BEGIN,
    WORD_MERGE,
    WORD_CHECKPOINT,
    WORD_SYNC,
    WORD_MARK,
    WORD_CLOSE,
    WORD_MODE,
    WORD_INDEX,
    WORD_DESCRIBE,
    WORD_HOOK,
    WORD_GRAPH,
    WORD_INDEXED,
    WORD_CREATE,
    WORD_DROP,
    WORD_USE,
    WORD_TICK,
    WORD_POLL,
    WORD_KINDS,
};

struct maker {
    struct rng rng;
    unsigned weights[WORD_KINDS];
    unsigned total;
    unsigned value;
    char *out;
    size_t size;
};

static void append(struct maker *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct maker *m, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(m->out + m->size, HISTORY_BYTES - m->size, format, args);
    va_end(args);
    CHECK(n >= 0 && m->size + (size_t)n < HISTORY_BYTES);
    m->size += (size_t)n;
}

static char some_id(struct maker *m)
{
    return "abcdefghijklABCD"[rng_below(&m->rng, 16)];
}

static unsigned next_value(struct maker *m)
{
    m->value = m->value % 900 + 1;
    return m->value;
}

/* Rows of one group: different ids. */
static void append_group(struct maker *m, const char *sign, bool has_value, size_t most)
{
    size_t count = 1 + (size_t)rng_below(&m->rng, most);
    unsigned first = (unsigned)rng_below(&m->rng, 16);

    for (size_t i = 0; i < count; i++) {
        append(m, "%s%s%c", i ? "," : "", sign, "abcdefghijklABCD"[(first + i * 3) % 16]);
        if (has_value) append(m, "%u", next_value(m));
    }
}

static void append_any_group(struct maker *m)
{
    switch (rng_below(&m->rng, 6)) {
    case 0:
        append_group(m, "-", false, 3);
        break;
    case 1:
        append_group(m, "+", false, 3);
        break;
    case 2:
        append_group(m, "=", true, 2);
        break;
    default:
        append_group(m, "", true, 3);
        break;
    }
}

static void append_batch(struct maker *m)
{
    size_t count = 2 + (size_t)rng_below(&m->rng, 3);
    char same = some_id(m);

    append(m, " w:");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) append(m, "|");
        /* Groups of one batch that meet at one id need the overlay. */
        if (rng_below(&m->rng, 3) == 0) append(m, "%c%u", same, next_value(m));
        else if (rng_below(&m->rng, 3) == 0) append(m, "%c%c", "-+"[rng_below(&m->rng, 2)], same);
        else append_any_group(m);
    }
}

static void append_drop(struct maker *m)
{
    unsigned slot = (unsigned)rng_below(&m->rng, 4);

    if (slot == 3) append(m, " drop:all");
    else append(m, " drop:%u", slot);
}

static void append_word(struct maker *m, enum word_kind kind)
{
    static const char *const levels[] = {"always", "interval", "os", "none"};
    static const char *const plain[WORD_KINDS] = {
        [WORD_FREEZE] = " freeze",   [WORD_BUILD] = " build",        [WORD_SEAL] = " seal",
        [WORD_CANCEL] = " cancel",   [WORD_MERGE_BEGIN] = " merge0", [WORD_MERGE] = " merge",
        [WORD_CHECKPOINT] = " ckpt", [WORD_SYNC] = " sync",          [WORD_MARK] = " mark",
        [WORD_CLOSE] = " close",     [WORD_INDEX] = " index",        [WORD_DESCRIBE] = " describe",
        [WORD_GRAPH] = " graph",     [WORD_INDEXED] = " indexed",    [WORD_TICK] = " tick",
        [WORD_POLL] = " poll",
    };

    if (plain[kind]) append(m, "%s", plain[kind]);
    else if (kind == WORD_BATCH) append_batch(m);
    else if (kind == WORD_AUTO) append(m, " w:#%u", 1 + (unsigned)rng_below(&m->rng, 3));
    else if (kind == WORD_MODE) append(m, " mode:%s", levels[rng_below(&m->rng, 4)]);
    else if (kind == WORD_CREATE) append(m, " create:%u", (unsigned)rng_below(&m->rng, 3));
    else if (kind == WORD_DROP) append_drop(m);
    else if (kind == WORD_HOOK) append(m, rng_chance(&m->rng, 0.3) ? " unhook" : " hook");
    else if (kind == WORD_USE) append(m, " use:%u", (unsigned)rng_below(&m->rng, 3));
    else {
        append(m, kind == WORD_LARGE ? " W" : " w");
        if (kind == WORD_LEVEL) append(m, "%u", 1 + (unsigned)rng_below(&m->rng, 3));
        append(m, ":");
        if (kind == WORD_DELETE) append_group(m, "-", false, 4);
        else if (kind == WORD_RESTORE) append_group(m, "+", false, 4);
        else if (kind == WORD_KEEP) append_group(m, "=", true, 3);
        else if (kind == WORD_ADD) append_group(m, "!", true, 2);
        else append_group(m, "", true, kind == WORD_GROUP ? 5 : 1);
    }
}

static void choose_weights(struct maker *m, bool is_root)
{
    static const unsigned base[WORD_KINDS] = {
        [WORD_PUT] = 10,       [WORD_GROUP] = 6,   [WORD_BATCH] = 8,       [WORD_LARGE] = 3,
        [WORD_DELETE] = 5,     [WORD_RESTORE] = 4, [WORD_KEEP] = 3,        [WORD_ADD] = 2,
        [WORD_AUTO] = 2,       [WORD_LEVEL] = 4,   [WORD_FREEZE] = 3,      [WORD_BUILD] = 2,
        [WORD_SEAL] = 4,       [WORD_CANCEL] = 1,  [WORD_MERGE_BEGIN] = 1, [WORD_MERGE] = 2,
        [WORD_CHECKPOINT] = 2, [WORD_SYNC] = 2,    [WORD_MARK] = 2,        [WORD_CLOSE] = 3,
        [WORD_MODE] = 2,       [WORD_INDEX] = 1,   [WORD_DESCRIBE] = 1,    [WORD_HOOK] = 1,
        [WORD_GRAPH] = 1,      [WORD_INDEXED] = 2,
    };
    static const unsigned root[WORD_KINDS] = {
        [WORD_CREATE] = 4, [WORD_DROP] = 2, [WORD_USE] = 4, [WORD_TICK] = 3, [WORD_POLL] = 4};

    for (int i = 0; i < WORD_KINDS; i++) {
        m->weights[i] = base[i] + (is_root ? root[i] : 0);
        if (i >= WORD_LARGE && rng_chance(&m->rng, 0.25)) m->weights[i] = 0;
        else if (rng_chance(&m->rng, 0.1)) m->weights[i] *= 4;
        m->total += m->weights[i];
    }
}

/* Some disks fail: once, with one errno. */
static void choose_fault(struct maker *m, struct faulty_plan *out)
{
    static const int codes[] = {EIO, ENOSPC, EDQUOT};
    static const unsigned kinds[] = {
        FAULTY_WRITE,
        FAULTY_WRITE,
        FAULTY_WRITE,
        FAULTY_SYNC,
        FAULTY_DIR_SYNC,
        FAULTY_RENAME,
        FAULTY_WRITE | FAULTY_SYNC | FAULTY_RENAME | FAULTY_DIR_SYNC | FAULTY_TRUNCATE,
        FAULTY_UNLINK | FAULTY_CLOSE,
    };

    *out = (struct faulty_plan){0};
    if (!rng_chance(&m->rng, 0.35)) return;
    out->kinds = kinds[rng_below(&m->rng, sizeof kinds / sizeof *kinds)];
    out->os_errno = codes[rng_below(&m->rng, 3)];
    out->nth = 1 + rng_below(&m->rng, 30);
    out->is_short = rng_chance(&m->rng, 0.7);
    /* What ids a group is given depends on groups before it, which may fail. */
    m->total -= m->weights[WORD_AUTO];
    m->weights[WORD_AUTO] = 0;
}

/* Every write is a request, and they are sent again at the end. */
static void make_requests(struct maker *m)
{
    for (char *at = m->out; (at = strstr(at, " w")) != NULL; at++) at[1] = 'q';
    append(m, " again");
}

/* Instead of giving up a seal, build what was merged and its index. */
static void make_merges(struct maker *m)
{
    for (char *at = m->out; (at = strstr(at, " cancel")) != NULL; at++)
        memcpy(at, " merge1", strlen(" merge1"));
}

void history_make(uint64_t seed, struct history *out, char words[HISTORY_BYTES])
{
    struct maker m = {.out = words};
    bool is_root = seed % 4 == 3;
    static const char *const first[] = {"", "", " mode:interval", " mode:os", " mode:none"};

    rng_init(&m.rng, hash_u64(seed));
    *out = (struct history){
        .ops = is_root ? &root_target : &collection_target, .seed = seed, .words = words};
    choose_weights(&m, is_root);
    choose_fault(&m, &out->fault);
    append(&m, "%s", is_root ? "create:0" : "sync");
    append(&m, "%s", first[rng_below(&m.rng, 5)]);
    size_t count = 10 + (size_t)rng_below(&m.rng, 45);
    for (size_t i = 0; i < count; i++) {
        unsigned at = (unsigned)rng_below(&m.rng, m.total);
        int kind = 0;
        while (at >= m.weights[kind]) at -= m.weights[kind++];
        append_word(&m, (enum word_kind)kind);
    }
    /* Not drawn, so that the others stay as they were. */
    if (!is_root && hash_u64(~seed) % 4 == 0) make_requests(&m);
    if (!is_root && hash_u64(~seed) % 3 == 0) make_merges(&m);
}
