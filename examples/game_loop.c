/* SPDX-License-Identifier: Apache-2.0 */
/* game_loop.c — the memories of a village's people, in a game that has 16 ms for a frame.
 *
 * Lynse runs inline: it starts no thread, and works only inside the calls below.  A frame gives
 * POLL_US to what is waiting and STEP_US to the search under way, which goes on in the next frame
 * where it stopped.  Memories are added without waiting; `remembered` is called from lynse_poll.
 * No frame waits for a disk: that happens in save_game, where the player sees a disk turning.
 *
 *   game_loop [FOLDER]     without a folder everything is in memory, and gone at the end
 */
#define _POSIX_C_SOURCE 200809L /* for -std=c11 */
#include <lynse.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    FRAMES = 600, /* ten seconds at 60 Hz, played as fast as they go */
    FRAMES_PER_SAVE = 200,
    POLL_US = 300,
    STEP_US = 300,
    DIM = 64,
    LORE = 40000, /* what the people know when the game begins: too much to search in one frame */
    PEOPLE = 200,
};

struct game {
    struct lynse *db;
    struct lynse_collection *memories;
    struct lynse_search *search; /* under way, or NULL */
    struct lynse_error error;    /* of the last call that failed */
    uint64_t random;
    unsigned first_frame; /* of the search under way */
    unsigned searches, search_frames_max;
    unsigned long added, refused;
    double wall_us_max, cpu_us_max, cpu_us; /* in Lynse */
};

static double now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static uint32_t pick(struct game *g, uint32_t below)
{
    g->random = g->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->random >> 33) % below;
}

/* Stands for what an embedding model makes of a scene. */
static void imagine(struct game *g, float *vector)
{
    for (int i = 0; i < DIM; i++) vector[i] = (float)pick(g, 2001) / 1000.0f - 1.0f;
}

/* The fields are a msgpack map: {"who": 0..65535, "frame": 0..65535}. */
static size_t write_fields(unsigned char *out, unsigned who, unsigned frame)
{
    const unsigned char map[] = {
        0x82, 0xA3, 'w', 'h', 'o', 0xCD, (unsigned char)(who >> 8),   (unsigned char)who,   0xA5,
        'f',  'r',  'a', 'm', 'e', 0xCD, (unsigned char)(frame >> 8), (unsigned char)frame,
    };
    memcpy(out, map, sizeof map);
    return sizeof map;
}

static unsigned read_who(struct lynse_bytes fields)
{
    const unsigned char *map = fields.data;
    return fields.size < 8 ? 0 : (unsigned)(map[6] << 8 | map[7]);
}

/* ---- inside a frame ---- */

static void remembered(void *ctx, const struct lynse_write_result *result,
                       const struct lynse_error *error)
{
    struct game *g = ctx;

    if (result) g->added += result->row_count;
    else g->refused++, g->error = *error;
}

static void remember(struct game *g, unsigned who, unsigned frame)
{
    float vector[DIM];
    unsigned char map[32];
    struct lynse_bytes fields = {map, write_fields(map, who, frame)};
    struct lynse_rows row = {.count = 1, .dim = DIM, .vectors = vector, .fields = &fields};
    struct lynse_write_options options = {.done = remembered, .done_ctx = g};

    imagine(g, vector);
    if (lynse_add(g->memories, &row, &options, NULL, &g->error)) g->refused++;
}

/* What does this remind the village of?  Ask, or go on asking. */
static int recall(struct game *g, unsigned frame, struct lynse_hits **out)
{
    if (!g->search) {
        float scene[DIM];
        struct lynse_search_desc query = {
            .vector = scene, .dim = DIM, .k = 3, .flags = LYNSE_WITH_FIELDS, .error = &g->error};
        imagine(g, scene);
        g->first_frame = frame;
        return lynse_search_begin(g->memories, &query, &g->search) ? -2 : LYNSE_MORE;
    }
    int rc = lynse_search_step(g->search, STEP_US, out);
    if (rc != LYNSE_MORE) g->search = NULL;
    return rc == LYNSE_MORE || rc == LYNSE_OK ? rc : -2;
}

static void count_search(struct game *g, unsigned frame, const struct lynse_hits *hits)
{
    unsigned frames = frame - g->first_frame + 1;

    if (frames > g->search_frames_max) g->search_frames_max = frames;
    if (g->searches++ % 50 == 0)
        printf("frame %3u: person %u remembers best (%.1f), found over %u frames\n", frame,
               read_who(hits->fields[0]), (double)hits->scores[0], frames);
}

static int play_frame(struct game *g, unsigned frame)
{
    struct lynse_hits *hits = NULL;
    double wall = now_us(CLOCK_MONOTONIC), cpu = now_us(CLOCK_THREAD_CPUTIME_ID);

    lynse_poll(g->db, POLL_US);
    for (int i = 0; i < 3; i++) remember(g, pick(g, PEOPLE), frame);
    int rc = recall(g, frame, &hits);
    wall = now_us(CLOCK_MONOTONIC) - wall;
    cpu = now_us(CLOCK_THREAD_CPUTIME_ID) - cpu;

    g->cpu_us += cpu;
    if (wall > g->wall_us_max) g->wall_us_max = wall;
    if (cpu > g->cpu_us_max) g->cpu_us_max = cpu;
    if (hits) count_search(g, frame, hits);
    lynse_hits_free(hits);
    return rc == -2 ? -1 : 0;
}

/* ---- between frames: here the game may wait ---- */

static int save_game(struct game *g)
{
    uint64_t count;

    while (lynse_poll(g->db, 10000) == LYNSE_MORE) continue;
    if (lynse_sync(g->db, &g->error) || lynse_count(g->memories, &count, &g->error)) return -1;
    printf("saved: %llu memories\n", (unsigned long long)count);
    return 0;
}

static int load_game(struct game *g, const char *folder)
{
    static float vectors[LORE][DIM];
    static unsigned char maps[LORE][32];
    static struct lynse_bytes fields[LORE];
    /* A log in memory would only be copied about: there, none is kept. */
    struct lynse_open_desc root = {
        .path = folder ? folder : ":memory:",
        .mode = LYNSE_INLINE,
        .sync = folder ? LYNSE_SYNC_DEFAULT : LYNSE_SYNC_NONE,
    };
    struct lynse_collection_desc desc = {.name = "village/memories", .dim = DIM};
    struct lynse_rows lore = {.count = LORE, .dim = DIM, .vectors = *vectors, .fields = fields};
    uint64_t count;

    if (lynse_open(&root, &g->db, &g->error) ||
        lynse_collection_require(g->db, &desc, &g->memories, &g->error) ||
        lynse_count(g->memories, &count, &g->error))
        return -1;
    printf("loaded: %llu memories from an earlier game\n", (unsigned long long)count);
    if (count > 0) return 0;
    for (unsigned i = 0; i < LORE; i++) {
        imagine(g, vectors[i]);
        fields[i] = (struct lynse_bytes){maps[i], write_fields(maps[i], i % PEOPLE, 0)};
    }
    return lynse_add(g->memories, &lore, NULL, NULL, &g->error) ? -1 : 0;
}

static int play(struct game *g, const char *folder)
{
    if (load_game(g, folder) != 0) return -1;
    for (unsigned frame = 1; frame <= FRAMES; frame++) {
        if (play_frame(g, frame) != 0) return -1;
        if (frame % FRAMES_PER_SAVE == 0 && save_game(g) != 0) return -1;
    }
    lynse_search_cancel(g->search);
    if (g->refused) return -1;
    printf("%lu memories added, %u searches over up to %u frames each\n", g->added, g->searches,
           g->search_frames_max);
    /* Other programs that take the processor away show in the clock's figure alone. */
    printf("in Lynse: worst frame %.0f us by the clock, %.0f us of work; mean %.0f us, of 16,667\n",
           g->wall_us_max, g->cpu_us_max, g->cpu_us / FRAMES);
    return 0;
}

int main(int argc, char **argv)
{
    static struct game game = {.random = 20};
    int rc = play(&game, argc > 1 ? argv[1] : NULL);

    if (rc != 0) fprintf(stderr, "game_loop: %s\n", game.error.text);
    if (lynse_close(game.db, &game.error)) {
        fprintf(stderr, "game_loop: not all was saved: %s\n", game.error.text);
        rc = -1;
    }
    return rc == 0 ? 0 : 1;
}
