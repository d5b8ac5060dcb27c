/* SPDX-License-Identifier: Apache-2.0 */
/* caller.h — a host that knows neither designated initialisers nor mixed declarations: C89, C++98.
 * It is the body of both callers. */
#ifndef HOST_CALLER_H
#define HOST_CALLER_H

#include <lynse.h>
#include <stdio.h>
#include <string.h>

static int call_all(void)
{
    struct lynse_open_desc root;
    struct lynse_collection_desc desc;
    struct lynse_search_desc query;
    struct lynse_rows rows;
    struct lynse_error err;
    struct lynse *db;
    struct lynse_collection *docs;
    struct lynse_hits *hits;
    float vectors[4] = {1, 0, 0, 1};
    int found;

    memset(&root, 0, sizeof root);
    memset(&desc, 0, sizeof desc);
    memset(&query, 0, sizeof query);
    memset(&rows, 0, sizeof rows);
    root.struct_bytes = sizeof root;
    root.path = ":memory:";
    root.mode = LYNSE_INLINE;
    desc.name = "docs";
    desc.dim = query.dim = rows.dim = 2;
    rows.vectors = query.vector = vectors;
    rows.count = 2;
    query.error = &err;
    if (lynse_open(&root, &db, &err) || lynse_collection_require(db, &desc, &docs, &err) ||
        lynse_add(docs, &rows, NULL, NULL, &err) || lynse_search(docs, &query, &hits)) {
        fprintf(stderr, "%s: %s\n", lynse_error_name(err.code), err.text);
        return 1;
    }
    found = hits->count == 2 && hits->numbers[0] == 0;
    lynse_hits_free(hits);
    printf("%s\n", lynse_version());
    return lynse_close(db, &err) != LYNSE_OK || !found;
}

#endif
