/* SPDX-License-Identifier: Apache-2.0 */
/* close_collection.h — close a collection that no actor owns, as its actor would. */
#ifndef SUPPORT_CLOSE_COLLECTION_H
#define SUPPORT_CLOSE_COLLECTION_H

#include "collection/collection.h"

/* c is gone in any case.  No seal is under way.  The error is that of lynse_close: first what is
 * durable, then what was not done. */
static inline int close_collection(struct collection *c, struct error *err)
{
    struct error failed = {0};
    int rc = collection_settle(c, &failed);

    if (rc != 0) collection_explain_unsettled(c, &failed);
    if (rc != 0 && err) *err = failed;
    collection_abandon(c);
    return rc;
}

#endif
