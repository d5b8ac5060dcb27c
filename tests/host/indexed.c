/* SPDX-License-Identifier: Apache-2.0 */
/* indexed.c — what a host does with an index, for check_flat_only.py:
 *
 *   indexed make FOLDER       3,000 records and a graph over them
 *   indexed look FOLDER       what is found, by what there is and exactly; and what the index is
 *   indexed build FOLDER MODE another index
 */
#include <lynse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 16, ROWS = 3000, K = 10 };

static float vectors[ROWS * DIM];

static int fail(const struct lynse_error *err)
{
    printf("%s\n", err->text);
    return 1;
}

static int make(struct lynse_collection *docs, struct lynse_error *err)
{
    struct lynse_rows rows = {.dim = DIM, .count = ROWS, .vectors = vectors};
    return lynse_add(docs, &rows, NULL, NULL, err) || lynse_checkpoint(docs, err) ||
           lynse_build_index(docs, "HNSW-L2", err);
}

static int print_found(struct lynse_collection *docs, uint32_t flags, struct lynse_error *err)
{
    struct lynse_hits *hits;
    struct lynse_search_desc desc = {
        .dim = DIM, .vector = vectors, .k = K, .effort = 400, .flags = flags, .error = err};
    if (lynse_search(docs, &desc, &hits) != 0) return -1;
    for (size_t i = 0; i < hits->count; i++)
        printf("%d:%.9g ", (int)hits->numbers[i], (double)hits->scores[i]);
    printf("\n");
    lynse_hits_free(hits);
    return 0;
}

static int look(struct lynse_collection *docs, struct lynse_error *err)
{
    struct lynse_collection_info info = {.struct_bytes = sizeof info};
    if (print_found(docs, 0, err) != 0 || print_found(docs, LYNSE_EXACT, err) != 0 ||
        lynse_collection_info(docs, &info, err) != 0)
        return -1;
    printf("%u of %u segments\n", info.indexed_segment_count, info.segment_count);
    return 0;
}

int main(int argc, char **argv)
{
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_error err = {0};
    uint32_t seed = 7;

    if (argc < 3) return 2;
    for (size_t i = 0; i < ROWS * DIM; i++) {
        seed = seed * 1664525 + 1013904223;
        vectors[i] = (float)(seed >> 8) * 0x1p-24f;
    }
    struct lynse_open_desc root = {.path = argv[2]};
    struct lynse_collection_desc desc = {.name = "docs", .dim = DIM, .metric = LYNSE_L2};
    if (lynse_open(&root, &db, &err) || lynse_collection_require(db, &desc, &docs, &err))
        return fail(&err);
    int rc = strcmp(argv[1], "make") == 0   ? make(docs, &err)
             : strcmp(argv[1], "look") == 0 ? look(docs, &err)
             : argc == 4                    ? lynse_build_index(docs, argv[3], &err)
                                            : 2;
    if (rc != 0) fail(&err);
    lynse_collection_close(docs);
    return lynse_close(db, NULL) != 0 || rc != 0;
}
