/* SPDX-License-Identifier: Apache-2.0 */
/* A host that ranks with a function in Lua: says the id that is farthest. */
#include <stdio.h>

#include <lynse.h>
#include <lynse_lua.h>

static int say_farthest(struct lynse *db)
{
    static const char farthest[] = "function(n, distance, field, out)\n"
                                   "  for i = 0, n - 1 do out[i] = -distance[i] end\n"
                                   "end";
    const float vectors[] = {1, 0, 0, 0, 1, 0, -1, 0, 0};
    struct lynse_collection_desc docs_desc = {.name = "docs", .dim = 3};
    struct lynse_rows rows = {.count = 3, .vectors = vectors, .dim = 3};
    struct lynse_search_desc query = {.dim = 3, .vector = vectors, .k = 1, .score = farthest};
    struct lynse_collection *docs;
    struct lynse_hits *hits;

    if (lynse_lua_attach(db, NULL) || lynse_collection_require(db, &docs_desc, &docs, NULL) ||
        lynse_add(docs, &rows, NULL, NULL, NULL) || lynse_search(docs, &query, &hits))
        return 1;
    printf("id %llu: %.2f\n", (unsigned long long)hits->ids[0].number, (double)hits->scores[0]);
    lynse_hits_free(hits);
    return 0;
}

int main(void)
{
    struct lynse_open_desc desc = {.path = ":memory:"};
    struct lynse *db;

    if (lynse_open(&desc, &db, NULL)) return 1;
    int failed = say_farthest(db);
    return lynse_close(db, NULL) || failed;
}
