/* SPDX-License-Identifier: Apache-2.0 */
/* caller_c89.c — lynse.h in the C of 1989. */
#include "caller.h"

int main(void)
{
    return call_all();
}
