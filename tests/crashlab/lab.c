/* SPDX-License-Identifier: Apache-2.0 */
#include "crashlab/lab.h"

#include <stdio.h>

#include "base/check.h"
#include "base/faults.h"
#include "base/hash.h"

enum { THOROUGH_FACTOR = 4 };

/* An image from which the history goes on. */
struct branch {
    struct disk disk;
    struct world world;
    size_t word;
    unsigned depth;
    uint64_t seed;
    uint64_t kinds; /* hash of the operations that led here */
    struct crash_step trace[LAB_DEPTH_MAX];
};

/* One pass over a history, from the start or from an image. */
struct run {
    struct lab *lab;
    const struct history *history;
    struct branch *from;
    struct disk disk;
    struct mount mount;
    struct target target;
    struct vfs *faulty;
    size_t word; /* the next one */
    char doing[WORD_BYTES];
    bool is_recovering;
    bool is_over; /* the disk refuses everything: we only want to get out */
    uint64_t point;
    uint64_t kinds;        /* hash of what was done so far */
    uint64_t last_promise; /* hash of the promises at the last point */
    struct int_map *seen;  /* images of this history that were judged */
    struct branch *branches;
    size_t *branch_count;
};

void lab_init(struct lab *l, struct alloc *a, const struct lab_plan *plan)
{
    *l = (struct lab){.alloc = a, .plan = *plan};
    int_map_init(&l->states, a, MEM_GENERAL);
}

void lab_deinit(struct lab *l)
{
    int_map_deinit(&l->states);
}

/* ---- reports ---- */

static void describe(const struct run *r, const struct crash_step *last, const char *what,
                     char out[REPORT_BYTES])
{
    char image[IMAGE_TEXT_BYTES];
    const struct faulty_plan *f = &r->history->fault;
    size_t n = (size_t)snprintf(out, REPORT_BYTES,
                                "%s\n  reproduce: crashlab --target %s --seed %llu "
                                "--history '%s'",
                                what, r->history->ops->name, (unsigned long long)r->history->seed,
                                r->history->words);
    if (f->kinds && n < REPORT_BYTES)
        n += (size_t)snprintf(out + n, REPORT_BYTES - n, " --fault %u,%d,%llu,%d", f->kinds,
                              f->os_errno, (unsigned long long)f->nth, f->is_short);
    for (unsigned i = 0; i < r->from->depth + (last ? 1u : 0u) && n < REPORT_BYTES; i++) {
        const struct crash_step *s = i < r->from->depth ? &r->from->trace[i] : last;
        image_format(&s->image, image);
        n += (size_t)snprintf(out + n, REPORT_BYTES - n, " --point %llu --mask %s",
                              (unsigned long long)s->point, s->is_kill ? "kill" : image);
    }
    if (n < REPORT_BYTES)
        snprintf(out + n, REPORT_BYTES - n, "\n  crashed %s '%s'",
                 r->is_recovering ? "while recovering, before" : "during", r->doing);
}

static int fail(struct run *r, const struct crash_step *last, const char *what)
{
    struct lab *l = r->lab;

    if (!l->has_failed) describe(r, last, what, l->report);
    l->has_failed = true;
    r->is_over = true;
    return -1;
}

/* ---- judging one image ---- */

static void target_init(struct target *t, const struct history *h, struct alloc *a, struct vfs *fs,
                        struct world *w, uint64_t seed)
{
    *t = (struct target){.ops = h->ops, .alloc = a, .fs = fs, .world = w, .seed = seed};
}

/* Open, judge, close; `last`: what to do with it at the end. */
enum judge_end { END_ABANDON, END_TOUCH };
static int open_and_judge(struct target *t, bool is_fresh, enum judge_end end, const char *when)
{
    struct error err = {0};
    int rc = 0;

    if (t->ops->open(t, &err) != 0) {
        rc = target_fail(t, "%s: does not open: %s: %s", when, error_name(err.code), err.text);
    } else if (t->ops->judge(t, is_fresh) != 0) {
        char why[WHY_BYTES];
        memcpy(why, t->why, sizeof why);
        rc = target_fail(t, "%s: %.460s", when, why);
    } else if (end == END_TOUCH) {
        rc = t->ops->touch(t);
    }
    if (rc != 0 || end == END_ABANDON) t->ops->abandon(t);
    return rc;
}

static int judge_disk(struct run *r, struct disk *d, const struct world *w, uint64_t seed,
                      const struct crash_step *step)
{
    struct world world;
    struct mount m;
    struct target t;

    if (r->lab->now) describe(r, step, "died", r->lab->now);
    world_copy(&world, w);
    mount_init(&m, d, false);
    target_init(&t, r->history, r->lab->alloc, mount_vfs(&m), &world, seed);
    int rc = open_and_judge(&t, true, END_ABANDON, "after the crash");
    if (rc == 0) rc = open_and_judge(&t, true, END_TOUCH, "opened again");
    if (rc == 0) rc = open_and_judge(&t, false, END_ABANDON, "after one more write");
    mount_deinit(&m);
    world_deinit(&world);
    r->lab->counts.judged++;
    return rc == 0 ? 0 : fail(r, step, t.why);
}

/* ---- crash points ---- */

static uint64_t promises_of(const struct world *w)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        const struct slot *s = &w->slots[i];
        if (s->life == SLOT_NONE) continue;
        sum =
            hash_u64(sum ^ ((uint64_t)s->oracle.promise.kill << 32 |
                            (uint64_t)s->oracle.promise.power << 16 | (uint64_t)s->life << 8 | i));
        sum = hash_u64(sum ^ s->oracle.promise.vouched);
        sum = hash_u64(sum ^ ((uint64_t)s->oracle.hook.promised << 32 | s->oracle.hook.asked));
    }
    return sum;
}

static void note_state(struct run *r, const struct image *m, bool is_kill)
{
    struct lab *l = r->lab;
    uint64_t key = hash_u64(r->kinds ^ hash_u64(r->point)) ^ image_hash(m) ^ is_kill, seen;

    if (int_map_get(&l->states, key, &seen)) return;
    CHECK(int_map_put(&l->states, key, 1) == 0);
    l->counts.states++;
    l->counts.deep += r->from->depth > 0;
    l->counts.in_recovery += r->from->depth > 0 && r->is_recovering;
}

static bool is_new_image(struct run *r, uint64_t hash, const struct world *w)
{
    uint64_t key = hash_u64(hash ^ promises_of(w)), seen;

    if (int_map_get(r->seen, key, &seen)) return false;
    CHECK(int_map_put(r->seen, key, 1) == 0);
    return true;
}

static size_t branch_max_of(const struct run *r)
{
    size_t most = r->lab->plan.branch_max;

    if (r->history->fault.kinds) return most / 4;
    return r->history->is_thorough ? THOROUGH_FACTOR * most : most;
}

/* Let the history go on from this image, if it is one of those. */
static void maybe_branch(struct run *r, const struct disk *d, const struct world *w,
                         const struct crash_step *step)
{
    struct lab *l = r->lab;
    unsigned depth = r->from->depth + 1;
    bool is_wanted = l->plan.step_count > depth;
    int factor = r->history->is_thorough ? THOROUGH_FACTOR : 1;

    if (depth >= l->plan.depth_max || depth >= LAB_DEPTH_MAX) return;
    if (l->plan.step_count == 0)
        is_wanted = *r->branch_count < branch_max_of(r) * depth &&
                    rng_chance(&l->rng, l->plan.branch_chance * factor);
    if (!is_wanted) return;
    struct branch *b = &r->branches[(*r->branch_count)++];
    disk_copy(&b->disk, d);
    world_copy(&b->world, w);
    b->word = r->word;
    b->depth = depth;
    b->seed = hash_u64(r->from->seed ^ hash_u64(step->point) ^ image_hash(&step->image));
    b->kinds = hash_u64(r->kinds ^ image_hash(&step->image)) + step->is_kill;
    memcpy(b->trace, r->from->trace, sizeof b->trace);
    b->trace[depth - 1] = *step;
}

static void visit_image(struct run *r, const struct image *m)
{
    struct crash_step step = {.point = r->point, .image = *m};
    bool is_all = image_is_all(m, r->disk.pending_count) && !disk_has_lost(&r->disk);
    struct world w;
    struct disk cut;

    note_state(r, m, false);
    disk_cut(&cut, &r->disk, m);
    world_copy(&w, r->target.world);
    /* With everything kept a power cut is a kill, which has been promised more. */
    world_crash(&w, is_all ? CRASH_KILL : CRASH_POWER);
    uint64_t hash = disk_hash(&cut);
    if (is_new_image(r, hash, &w) || r->lab->plan.step_count > 0) {
        if (r->lab->plan.step_count <= r->from->depth + 1)
            judge_disk(r, &cut, &w, hash_u64(hash), &step);
        if (!r->lab->has_failed) maybe_branch(r, &cut, &w, &step);
    }
    disk_deinit(&cut);
    world_deinit(&w);
}

/* A kill by itself shows nothing that "all kept" does not; but what is pending stays pending. */
static void visit_kill(struct run *r)
{
    struct crash_step step = {.point = r->point, .is_kill = true};
    struct image all = {{0}, TEAR_NONE, 0, 0};
    struct world w;

    note_state(r, &all, true);
    world_copy(&w, r->target.world);
    world_crash(&w, CRASH_KILL);
    if (disk_has_lost(&r->disk)) judge_disk(r, &r->disk, &w, r->point, &step);
    if (!r->lab->has_failed) maybe_branch(r, &r->disk, &w, &step);
    world_deinit(&w);
}

static void visit_planned(struct run *r)
{
    const struct crash_step *s = &r->lab->plan.steps[r->from->depth];

    if (r->from->depth >= r->lab->plan.step_count || s->point != r->point) return;
    if (s->is_kill) visit_kill(r);
    else visit_image(r, &s->image);
}

/* Failing disks are many short histories: a little of each. */
static size_t images_of(const struct run *r)
{
    const struct lab_plan *p = &r->lab->plan;

    if (r->history->fault.kinds) return p->images_per_point_deep;
    return r->from->depth == 0 ? p->images_per_point : p->images_per_point_deep;
}

static void crash_point(struct run *r)
{
    struct lab *l = r->lab;
    struct images images;

    r->point++;
    l->counts.points++;
    r->last_promise = promises_of(r->target.world);
    if (l->plan.step_count > 0) {
        visit_planned(r);
        return;
    }
    images_make(&images, &r->disk, images_of(r), &l->rng);
    for (size_t i = 0; i < images.count && !l->has_failed; i++) visit_image(r, &images.list[i]);
    if (!l->has_failed) visit_kill(r);
}

static bool before(void *ctx, const struct vfs_op *op)
{
    struct run *r = ctx;

    (void)op;
    if (r->is_over) return false;
    r->target.ops->look(&r->target);
    if (promises_of(r->target.world) != r->last_promise) crash_point(r);
    return !r->is_over;
}

static bool after(void *ctx, const struct vfs_op *op)
{
    struct run *r = ctx;

    if (r->is_over) return false;
    r->kinds = hash_u64(r->kinds ^ ((uint64_t)op->kind + 1) ^ (op->data.size << 8));
    crash_point(r);
    return !r->is_over;
}

/* ---- damage ---- */

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Must this be survived without a loss?  One of two copies of a header or of a twin file. */
static bool is_spare_copy(const char *name, uint64_t offset, size_t size, size_t file_size)
{
    if (has_prefix(name, "wal-")) return offset + size <= 8192;
    if (has_prefix(name, "manifest-") || has_prefix(name, "catalog-"))
        return offset + size <= file_size / 2 || offset >= file_size / 2;
    return false;
}

static int judge_damage(struct run *r, struct disk *d, const char *name, bool must_survive)
{
    struct lab *l = r->lab;
    struct world w;
    struct mount m;
    struct target t;
    struct error err = {0};
    int rc = 0;
    char why[WHY_BYTES + 256];
    uint64_t best = 0;

    world_copy(&w, r->target.world);
    world_crash(&w, CRASH_KILL);
    for (size_t i = 0; i < WORLD_SLOTS; i++) {
        struct oracle_promise *p = &w.slots[i].oracle.promise;
        best += p->kill;
        if (!must_survive && p->kill > p->vouched) p->kill = p->vouched;
    }
    w.is_media = true;
    mount_init(&m, d, false);
    target_init(&t, r->history, l->alloc, mount_vfs(&m), &w, r->point);
    l->counts.damaged++;
    bool is_reported = false;
    if (t.ops->open(&t, &err) != 0) {
        is_reported = err.code == LYNSE_CORRUPT && !must_survive;
        if (!is_reported)
            rc = target_fail(&t, "does not open: %s: %s", error_name(err.code), err.text);
    } else if (t.ops->judge(&t, true) != 0) {
        is_reported = t.is_corrupt && !must_survive;
        if (!is_reported) rc = -1;
    } else {
        for (size_t i = 0; i < WORLD_SLOTS; i++) best -= w.slots[i].oracle.promise.kill;
        l->counts.blind += best > 0 && best < UINT32_MAX;
    }
    l->counts.reported += is_reported;
    t.ops->abandon(&t);
    snprintf(why, sizeof why, "with %s damaged: %s", name, t.why);
    mount_deinit(&m);
    world_deinit(&w);
    return rc == 0 ? 0 : fail(r, NULL, why);
}

/* Destroy one block of one file as the cache shows it now. */
static void damage_something(struct run *r)
{
    struct image all = {{0}, TEAR_NONE, 0, 0};
    struct disk d;
    struct rng *rng = &r->lab->rng;
    char what[160];

    for (size_t i = 0; i < r->disk.pending_count; i++) image_keep(&all, i);
    disk_cut(&d, &r->disk, &all);
    const struct disk_name *n = &d.names[rng_below(rng, d.name_count)];
    size_t index = 0;
    while (d.inodes[index].number != n->inode) index++;
    const struct blob *content = d.inodes[index].content;
    if (content && content->size > 0 && !d.inodes[index].is_lock) {
        uint64_t size = content->size, offset = rng_below(rng, (size + 4095) / 4096) * 4096;
        uint64_t bytes = 4096;
        if (rng_chance(rng, 0.2)) offset = 0, bytes = size; /* all of it */
        if (bytes > size - offset) bytes = size - offset;
        snprintf(what, sizeof what, "bytes %llu..%llu of %s", (unsigned long long)offset,
                 (unsigned long long)(offset + bytes), (const char *)n->name->bytes);
        bool must =
            is_spare_copy((const char *)n->name->bytes, offset, (size_t)bytes, (size_t)size);
        disk_damage(&d, index, offset, (size_t)bytes, rng_u64(rng));
        judge_damage(r, &d, what, must);
    }
    disk_deinit(&d);
}

/* ---- running ---- */

static void lose(void *ctx, struct vfs_file *f, const char *name)
{
    struct run *r = ctx;
    (void)name;
    disk_lose(&r->disk, mount_inode(&r->mount, f));
}

static void mount_run(struct run *r)
{
    struct lab *l = r->lab;
    struct vfs *fs;

    mount_init(&r->mount, &r->disk, true);
    r->mount.before = before;
    r->mount.after = after;
    r->mount.ctx = r;
    fs = mount_vfs(&r->mount);
    if (r->history->fault.kinds && r->from->depth == 0) {
        r->faulty = fs = vfs_faulty_create(l->alloc, fs);
        CHECK(fs);
        vfs_faulty_on_lost(fs, lose, r);
    }
    target_init(&r->target, r->history, l->alloc, fs, &r->from->world, r->from->seed);
    r->target.memory = r->mount.memory;
}

/* Blocks to destroy after a word. */
static size_t damage_of(const struct run *r)
{
    const struct lab_plan *p = &r->lab->plan;

    if (r->faulty || p->step_count > 0) return 0;
    /* After a crash it is closing that has something new to vouch for. */
    return r->from->depth == 0 ? p->damage_per_word : strcmp(r->doing, "close") == 0 ? 3 : 0;
}

/* Until the end of the history, or the end of what this pass wants. */
static void perform_words(struct run *r)
{
    struct lab *l = r->lab;
    const char *text = r->history->words;
    size_t most = r->from->depth == 0 ? SIZE_MAX : r->from->word + 4;
    struct target *t = &r->target;

    for (size_t i = 0; word_next(&text, r->doing); i++) {
        if (i < r->from->word) continue;
        if (i >= most && l->plan.step_count == 0) break;
        r->word = i + 1;
        if (t->ops->perform(t, r->doing) != 0 && !r->is_over) fail(r, NULL, t->why);
        if (r->is_over) return;
        if (t->ops->judge(t, false) != 0) {
            fail(r, NULL, t->why);
            return;
        }
        for (size_t k = 0; k < damage_of(r); k++)
            if (!l->has_failed) damage_something(r);
        if (l->has_failed) return;
    }
}

static void run_branch(struct lab *l, const struct history *h, struct branch *from,
                       struct int_map *seen, struct branch *branches, size_t *branch_count)
{
    struct run r = {.lab = l,
                    .history = h,
                    .from = from,
                    .word = from->word,
                    .seen = seen,
                    .branches = branches,
                    .branch_count = branch_count};
    struct error err = {0};

    disk_copy(&r.disk, &from->disk);
    mount_run(&r);
    r.kinds = from->kinds;
    r.is_recovering = true;
    snprintf(r.doing, sizeof r.doing, "open");
    int rc = r.target.ops->open(&r.target, &err);
    r.is_recovering = false;
    if (rc != 0 && !r.is_over) {
        char why[WHY_BYTES + 64];
        snprintf(why, sizeof why, "does not open: %s: %s", error_name(err.code), err.text);
        fail(&r, NULL, why);
    }
    if (rc == 0 && !r.is_over && from->depth > 0 && r.target.ops->judge(&r.target, true) != 0)
        fail(&r, NULL, r.target.why);
    if (rc == 0 && !r.is_over) {
        if (r.faulty) {
            vfs_faulty_arm(r.faulty, &h->fault);
            r.target.expects_faults = true;
        }
        perform_words(&r);
    }
    r.is_over = true;
    if (r.faulty) vfs_faulty_disarm(r.faulty);
    r.target.ops->abandon(&r.target);
    vfs_faulty_destroy(r.faulty);
    mount_deinit(&r.mount);
    disk_deinit(&r.disk);
}

/* The disk that every history starts with. */
static void make_start(struct lab *l, const struct history *h, struct branch *out)
{
    struct mount m;
    struct target t;

    *out = (struct branch){.seed = hash_u64(h->seed)};
    out->kinds = hash_xxh3_64(h->ops->name, strlen(h->ops->name)) + hash_u64(h->fault.kinds);
    disk_init(&out->disk, l->alloc);
    world_init(&out->world, l->alloc);
    mount_init(&m, &out->disk, true);
    target_init(&t, h, l->alloc, mount_vfs(&m), &out->world, hash_u64(h->seed + 1));
    t.ops->begin(&t);
    t.ops->abandon(&t);
    mount_deinit(&m);
}

int lab_run(struct lab *l, const struct history *h)
{
    size_t most = 1 + l->plan.branch_max * THOROUGH_FACTOR * LAB_DEPTH_MAX * 2 + LAB_DEPTH_MAX;
    size_t count = 0;
    struct branch *branches = mem_zalloc(l->alloc, MEM_GENERAL, most * sizeof *branches);
    struct int_map seen;

    CHECK(branches);
    rng_init(&l->rng, hash_u64(h->seed) ^ hash_xxh3_64(h->words, strlen(h->words)));
    int_map_init(&seen, l->alloc, MEM_GENERAL);
    make_start(l, h, &branches[count++]);
    for (size_t i = 0; i < count && !l->has_failed; i++)
        run_branch(l, h, &branches[i], &seen, branches, &count);
    for (size_t i = 0; i < count; i++) {
        disk_deinit(&branches[i].disk);
        world_deinit(&branches[i].world);
    }
    l->counts.histories++;
    int_map_deinit(&seen);
    mem_free(l->alloc, branches);
    return l->has_failed ? -1 : 0;
}
