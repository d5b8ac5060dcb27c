/* SPDX-License-Identifier: Apache-2.0 */
/* caller_cpp.cpp — lynse.h in C++. */
#include "caller.h"

int main()
{
    return call_all();
}
