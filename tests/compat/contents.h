/* SPDX-License-Identifier: Apache-2.0 */
/* contents.h — what make_golden.c writes, and what every later version must find. */
#ifndef COMPAT_CONTENTS_H
#define COMPAT_CONTENTS_H

#include "lynse.h"

enum { GOLDEN_DIM = 4, GOLDEN_NEXT_NUMBER = 7 };

/* Write it all into a new root; fails the process when anything does. */
void golden_write_v001(const char *path);

/* Fail the test unless the open root holds what golden_write_v001 has written. */
void golden_check_v001(struct lynse *db);

#endif
