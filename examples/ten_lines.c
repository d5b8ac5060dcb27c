/* SPDX-License-Identifier: Apache-2.0 */
/* ten_lines.c — open a folder, add three vectors, ask for the nearest two.
 *
 *   cc ten_lines.c $(pkg-config --cflags --libs lynse) && ./a.out
 */
#include <lynse.h>
#include <stdio.h>

int main(void)
{
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_hits *hits;
    struct lynse_error err;
    float vectors[3][3] = {{1, 0, 0}, {0, 1, 0}, {0.6f, 0.8f, 0}};

    struct lynse_open_desc root = {.path = "./data"};
    struct lynse_collection_desc desc = {.dim = 3, .name = "docs"};
    struct lynse_rows rows = {.dim = 3, .count = 3, .vectors = *vectors};
    struct lynse_search_desc query = {.dim = 3, .vector = vectors[0], .k = 2, .error = &err};

    if (lynse_open(&root, &db, &err) || lynse_collection_require(db, &desc, &docs, &err) ||
        lynse_add(docs, &rows, NULL, NULL, &err) || lynse_search(docs, &query, &hits))
        return fprintf(stderr, "%s\n", err.text), 1;
    for (size_t i = 0; i < hits->count; i++)
        printf("id %d: %.2f\n", (int)hits->numbers[i], (double)hits->scores[i]);
    lynse_hits_free(hits);
    return lynse_close(db, NULL);
}
