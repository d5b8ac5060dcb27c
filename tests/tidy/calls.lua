-- SPDX-License-Identifier: Apache-2.0
-- calls.lua: functions that may not be called, where, and why.
--   names    separated by spaces; pthread_* stands for all of them
--   under    path patterns where the ban holds
--   except   path patterns where it does not
local SHIPPED = { "^core/", "^lua/", "^server/" }
local EVERYWHERE = { "." }

return {
   {
      names = "strcpy strcat stpcpy strncpy strncat sprintf vsprintf gets alloca tmpnam mktemp",
      under = EVERYWHERE,
      why = "writes without a bound, or races",
   },
   {
      names = "strtok strerror localtime gmtime asctime ctime setlocale readdir_r",
      under = SHIPPED,
      why = "keeps hidden state",
   },
   {
      names = "atoi atol atoll atof strtod strtof",
      under = SHIPPED,
      except = { "^core/codec/decimal%.c$" }, -- gives it text of its own, without a point
      why = "hides errors, or depends on the locale",
   },
   {
      names = "malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign "
         .. "strdup strndup asprintf vasprintf getline",
      under = SHIPPED,
      except = { "^core/base/alloc%.c$" },
      why = "memory comes from base/alloc.h, which counts it",
   },
   {
      names = "printf fprintf vprintf vfprintf puts fputs putchar putc fputc fwrite perror dprintf",
      under = { "^core/" },
      except = { "^core/base/check%.c$" },
      why = "the library is silent but for base/log.h",
   },
   {
      names = "exit _exit quick_exit abort raise",
      under = { "^core/" },
      except = { "^core/base/check%.c$" },
      why = "only a failed CHECK ends the process",
   },
   {
      names = "signal sigaction pthread_sigmask sigprocmask system popen fork vfork execv execve",
      under = { "^core/" },
      except = { "^core/base/thread%.c$" }, -- our threads take none of the host's signals
      why = "signals and processes are the host's",
   },
   {
      names = "pthread_*",
      under = { "^core/" },
      except = {
         "^core/base/thread%.[ch]$", "^core/base/check%.c$", "^core/base/log%.c$",
         "^core/os/fork_registry%.c$", "^core/simd/select%.c$",
      },
      why = "threads and locks come from base/thread.h",
   },
   {
      names = "open openat read pread write pwrite pwritev preadv fsync fdatasync syncfs "
         .. "sync_file_range rename renameat unlink unlinkat mkdir mkdirat rmdir truncate "
         .. "ftruncate fallocate posix_fallocate opendir fdopendir mmap munmap stat fstat fstatat "
         .. "fcntl flock fopen",
      under = { "^core/" },
      except = { "^core/os/", "^core/base/alloc%.c$", "^core/base/check%.c$" },
      why = "files are reached through os/vfs.h, which tests replace",
   },
   {
      names = "clock_gettime gettimeofday time clock nanosleep clock_nanosleep usleep sleep",
      under = { "^core/" },
      except = { "^core/base/clock%.c$", "^core/base/thread%.[ch]$" },
      why = "time comes from base/clock.h, which tests own",
   },
   {
      names = "rand srand random srandom drand48 getrandom getentropy arc4random",
      under = { "^core/" },
      except = { "^core/base/rng%.c$", "^core/os/" },
      why = "chance comes from base/rng.h, with a seed",
   },
   {
      names = "getenv secure_getenv setenv putenv",
      under = { "^core/" },
      except = { "^core/simd/cpu%.c$", "^core/simd/select%.c$" },
      why = "options are passed in",
   },
}
