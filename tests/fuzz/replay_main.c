/* SPDX-License-Identifier: Apache-2.0 */
/* replay_main.c — runs a fuzz target over a corpus without libFuzzer: `fuzz_x_replay DIRECTORY`.
 *
 * Each file is a case; the empty input runs before them and is not counted.  A case that breaks the
 * target ends the process, so the name of the case is printed before it runs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { CORPUS_FILE_BYTES_MAX = 16 << 20 };

/* Run the target on one file.  A copy of exactly its size lets the sanitizers see a read past it.
 *
 * returns  1 = ran, 0 = not a regular file, -1 = could not be read (said on stderr).
 */
static int replay_file(const char *path)
{
    struct stat status;
    int rc = -1;
    uint8_t *data = NULL;
    FILE *file = fopen(path, "rb");

    if (!file || fstat(fileno(file), &status) != 0) goto out;
    if (!S_ISREG(status.st_mode)) {
        rc = 0;
        goto out;
    }
    if (status.st_size > CORPUS_FILE_BYTES_MAX) goto out;
    size_t size = (size_t)status.st_size;
    data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) goto out;
    printf("replay %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    rc = 1;
out:
    if (rc < 0) fprintf(stderr, "cannot read %s\n", path);
    if (file) fclose(file);
    free(data);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    uint8_t *nothing = calloc(1, 1);
    if (!nothing) return 2;
    LLVMFuzzerTestOneInput(nothing, 0);
    free(nothing);

    int passed = 0, failed = 0;
    struct dirent **entries = NULL;
    int count = scandir(argv[1], &entries, NULL, alphasort);
    if (count < 0) fprintf(stderr, "no corpus at %s\n", argv[1]);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        int rc = length < (int)sizeof path ? replay_file(path) : -1;
        if (rc > 0) passed++;
        if (rc < 0) failed++;
        free(entries[i]);
    }
    free(entries);
    if (count < 0) failed++;
    printf("cases: %d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
