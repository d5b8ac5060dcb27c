/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the program lynse: a verb, and what it is given. */
#include <lynse.h>
#include <stdio.h>
#include <string.h>

#include "server/verbs.h"

static int usage(FILE *to, int status)
{
    fputs("usage: lynse serve [OPTION]...          the server (lynse serve --help)\n"
          "       lynse lua SCRIPT [ARGUMENT]...   run a script of Lua, whose require knows lynse\n"
          "       lynse version\n",
          to);
    return status;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "serve") == 0 || strcmp(verb, "run") == 0) return verb_serve(argc, argv);
    if (strcmp(verb, "lua") == 0 && argc > 2) return verb_lua(argc, argv);
    if (strcmp(verb, "version") == 0 && argc == 2) {
        printf("%s\n", lynse_version());
        return 0;
    }
    if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0) return usage(stdout, 0);
    return usage(stderr, 2);
}
