/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c — what stands around C of a document that has no main: a root, a collection of three. */
#include <lynse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(call)                                                                              \
    do {                                                                                           \
        if ((call) != LYNSE_OK) {                                                                  \
            fprintf(stderr, "%s: %s\n", #call, err.text);                                          \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

int main(void)
{
    struct lynse_error err = {0};
    struct lynse *db;
    struct lynse_collection *docs;
    float vectors[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    struct lynse_open_desc in_memory = {
        .path = ":memory:", .mode = LYNSE_INLINE, .sync = LYNSE_SYNC_OS};
    struct lynse_collection_desc three = {.name = "docs", .dim = 3};
    struct lynse_rows rows = {.vectors = vectors, .count = 3, .dim = 3};

    REQUIRE(lynse_open(&in_memory, &db, &err));
    REQUIRE(lynse_collection_require(db, &three, &docs, &err));
    REQUIRE(lynse_add(docs, &rows, NULL, NULL, &err));
    {
        /* BLOCK */
    }
    REQUIRE(lynse_close(db, &err));
    return 0;
}
