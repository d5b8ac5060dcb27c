/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h — a whole root under the seeded scheduler: clients, a disk that fails and crashes, memory
 * that runs out, and after every step the question whether all promises still hold.
 *
 * One seed is one run: it decides the habits of the run, what clients ask for, which actor or task
 * goes next, how time passes, and what breaks.  The same seed runs identically.
 *
 * STEPS       A step is one batch of one actor, or one slice of a task.  Between steps, also while
 *             a client waits in a blocking call, the others act.
 * REFERENCE   A collection's groups in the order in which they were answered (crashlab/oracle.h).
 *             An answer is judged when it comes; a view against the state at its LSN.
 * DISK        crashlab/disk.h under support/vfs_faulty.h: what a crash takes is what was not
 *             durable.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "crashlab/disk.h"
#include "crashlab/oracle.h"
#include "engine/engine.h"
#include "support/vfs_faulty.h"

enum {
    SIM_NAMES = 3,         /* collections that clients know of */
    SIM_READS = 4,         /* views held at once */
    SIM_TEXT_BYTES = 1024, /* of a failure */
};

/* What one run does; by chance, so that runs differ in kind (swarm testing). */
struct habits {
    enum sim_policy policy;
    uint64_t step_us_max;
    uint64_t delay_us_max;
    size_t window;    /* requests in flight at most */
    uint8_t level;    /* of new collections; 0: any */
    bool asks_levels; /* writes ask for a level of their own */
    bool fails_disk;
    bool fails_memory;
    bool crashes;
    bool reopens;
    bool drops;
    bool cancels;
    bool has_deadlines;
    bool bursts; /* more at once than a mailbox holds */
};

/* A collection from its creation to its drop, over all runs of the engine. */
struct place {
    struct place *next;
    uint32_t number; /* the catalog's */
    size_t name;
    struct lab_oracle oracle; /* its groups above `settled` may or may not have happened */
    size_t settled;           /* LSN of the last group that is applied */
    size_t floor;             /* LSN that the next recovery must reach */
    bool is_exact;            /* and must not pass */
    bool is_judged;           /* what this run of the engine recovered was compared */
    struct host *host;        /* a handle of ours; NULL: none */
    bool is_released;         /* the handle was given back: the engine is being closed */
    size_t in_flight;
    size_t weak_in_flight; /* writes among them that ask for less than always */
    size_t auto_in_flight; /* rows among them that will be given an id */
    uint64_t glimpsed;     /* highest LSN of a view, between two steps or within one */
};

struct request {
    struct request *next; /* older */
    struct sim *sim;
    uint64_t id; /* 1.. */
    enum message_kind kind;
    struct place *place; /* NULL: the catalog's */
    size_t name;
    struct oracle_group group; /* WRITE */
    uint8_t level;             /* SET_SYNC; CREATE_COLLECTION */
    size_t settled_before;     /* SYNC, FLUSH: what was answered when it was sent */
    uint64_t deadline_us;
    bool may_be_busy; /* the mailbox may have been full */
    bool is_cancelled;
    unsigned answers;
    int code;
    struct reply *reply; /* until it is answered */
};

struct reading {
    struct place *place; /* NULL: free */
    struct view *view;
    struct search *search; /* NULL: none */
    float query[ORACLE_DIM];
    size_t k;
};

struct sim_counts {
    uint64_t steps;
    uint64_t simulated_us;
    uint64_t requests;
    uint64_t writes;
    uint64_t reads;
    uint64_t crashes;
    uint64_t reopens;
    uint64_t disk_faults;
    uint64_t memory_faults;
    uint64_t codes[64]; /* answers by code */
};

struct sim {
    uint64_t seed;
    bool is_verbose;
    struct habits habits;
    struct rng rng;
    struct alloc *alloc;        /* ours and the disk's */
    struct alloc *engine_alloc; /* the engine's */
    struct manual_clock clock;
    struct scheduler *scheduler;
    const struct scheduler_ops *inner;
    struct scheduler_ops ops; /* the same, but pump is ours */
    unsigned depth;           /* of blocking calls under way */
    uint64_t steps_in_call;

    struct disk disk, next_disk; /* what a crash left */
    struct mount mount;
    struct vfs *fs; /* faulty, over the mount */
    struct engine *engine;
    uint64_t open_count;
    bool is_closing;
    bool is_settling;                      /* the end: nobody acts but who asks */
    bool is_dead;                          /* the power is gone: answers mean nothing any more */
    bool is_disk_failing, disk_has_failed; /* now; in this run of the engine */
    bool is_memory_failing, memory_has_failed; /* likewise */
    uint64_t fault_ends_at;                    /* step */

    struct place *places;
    struct request *requests;
    size_t in_flight;
    struct reading reads[SIM_READS];
    /* The catalog: its names as of the last look, and how it got there. */
    uint32_t numbers[SIM_NAMES];
    uint64_t first_number;
    size_t live_at_open;
    uint64_t created, dropped, drops_in_flight;
    bool is_catalog_unsure;

    struct sim_counts counts;
    uint64_t answers_hash;
    bool has_failed;
    char text[SIM_TEXT_BYTES];
};

extern const char *const sim_names[SIM_NAMES];

/* The first failure is the one that is kept.  Returns -1. */
int sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_say(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- run.c ---- */
/* -1: s->text says what is wrong; then its memory is not given back. */
int sim_run(struct sim *s, uint64_t seed, uint64_t steps, bool is_verbose);
uint64_t sim_hash(const struct sim *s); /* of all that happened */

/* ---- world.c: the engine on its disk ---- */
void world_begin(struct sim *s);
void world_end(struct sim *s);
int world_open(struct sim *s);
int world_close(struct sim *s); /* every request is answered; then open it again, or end */
/* The power goes (a cut), or the process (a kill): the engine works on without effect. */
void world_crash(struct sim *s, bool is_kill);
void world_fail_disk(struct sim *s);
void world_fail_memory(struct sim *s);
void world_heal(struct sim *s);
bool world_disk_has_failed(const struct sim *s); /* an operation, in this run of the engine */
struct place *place_of(struct sim *s, uint32_t number, size_t name);
struct place *place_with_host(struct sim *s, size_t name); /* NULL: no handle */
uint32_t catalog_number(const struct sim *s, size_t name); /* 0: there is none */
int world_acquire(struct sim *s, size_t name);             /* a blocking call */
void world_release(struct sim *s, struct place *p);

/* ---- clients.c ---- */
void client_act(struct sim *s);    /* anything; may block */
void client_meddle(struct sim *s); /* while somebody else blocks */
struct request *client_send(struct sim *s, enum message_kind kind, struct place *p);
struct request *client_write(struct sim *s, struct place *p, const struct oracle_group *g,
                             uint64_t deadline_us);

/* ---- answers.c ---- */
reply_fn answer_judge; /* ctx: the request */

/* ---- reads.c ---- */
void read_begin(struct sim *s, struct place *p);
void read_go_on(struct sim *s);
void read_end_all(struct sim *s);

/* ---- invariants.c ---- */
int invariants_check(struct sim *s);                    /* after each step */
void invariants_glimpse(void *ctx, enum faulty_kind k); /* before each operation of the disk */
size_t live_rows(const struct lab_oracle *o, size_t lsn);

#endif
