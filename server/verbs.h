/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h — what the program can be told to do, a file a verb.  argv[1] is the verb. */
#ifndef SERVER_VERBS_H
#define SERVER_VERBS_H

/* The exit status: 0; 1 where it failed, with a line on stderr; 2 where the command line is none.
 * */
int verb_call(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_lua(int argc, char **argv);
int verb_serve(int argc, char **argv);
int verb_verify(int argc, char **argv);

#endif
