/* SPDX-License-Identifier: Apache-2.0 */
/* main.c — the program lynse: a verb, and what it is given. */
#include <errno.h>
#include <lynse.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/verbs.h"

static int usage(FILE *to, int status)
{
    fputs("usage: lynse serve [OPTION]...          the server (lynse serve --help)\n"
          "       lynse config [OPTION]...         what those options would be, and from where\n"
          "       lynse call [METHOD [ARGUMENT]...]  ask a server\n"
          "       lynse lua SCRIPT [ARGUMENT]...   run a script of Lua, whose require knows lynse\n"
          "       lynse verify PATH [--level L]    is everything in this folder as it must be?\n"
          "       lynse version\n",
          to);
    return status;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool is_lynsedb = strcmp(program_invocation_short_name, "lynsedb") == 0;

    if (strcmp(verb, "serve") == 0 || strcmp(verb, "run") == 0) return verb_serve(argc, argv);
    if (strcmp(verb, "config") == 0) return verb_config(argc, argv);
    if (strcmp(verb, "call") == 0) return verb_call(argc, argv);
    if (strcmp(verb, "verify") == 0) return verb_verify(argc, argv);
    if (strcmp(verb, "lua") == 0 && argc > 2) return verb_lua(argc, argv);
    if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0) return usage(stdout, 0);
    if ((strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) && argc == 2) {
        printf("%s\n", lynse_version());
        return 0;
    }
    if (strncmp(verb, "--", 2) == 0 || (is_lynsedb && argc < 2)) return verb_serve(argc, argv);
    return usage(stderr, 2);
}
