-- SPDX-License-Identifier: Apache-2.0
-- layers.lua: who may include whom (docs/ARCHITECTURE.md, Layers).  core/CMakeLists.txt grants the
-- include roots: a layer's own and, because headers include headers, those below them.
local layers = {}

-- What a folder of core/ may include besides itself.
layers.core = {
   base = "",
   os = "base",
   simd = "base",
   codec = "base",
   quant = "base codec simd",
   store = "base os codec",
   index = "base os codec simd quant",
   field = "base codec",
   filter = "base codec simd field",
   segment = "base os codec simd quant store index field",
   query = "base os codec simd quant store index field filter segment",
   collection = "base os codec simd quant store index field filter segment query",
   actor = "base os",
   engine = "base os codec simd quant store index field filter segment query collection actor",
   -- simd, index: names of metrics, levels and index modes
   api = "base os codec simd index segment query engine",
   transfer = "base os codec",
}

-- Every layer that `layer` reaches, itself among them: set of names.
function layers.reach(layer)
   local reached, waiting = {}, { layer }
   while #waiting > 0 do
      local name = table.remove(waiting)
      if not reached[name] then
         reached[name] = true
         for below in (layers.core[name] or ""):gmatch("%S+") do waiting[#waiting + 1] = below end
      end
   end
   return reached
end

-- Folders that enter through lynse.h, and the few headers of core that they see beyond it.
layers.guests = {
   lua = { "^base/", "^codec/", "^query/hook%.h$", "^lua/" },
   server = { "^base/", "^codec/", "^lua/", "^server/" },
   ["server/cluster"] = { "^server/", "^cluster/", "^store/commit_log%.h$", "^base/" },
   examples = {},
}

-- Headers of core/include and who includes them; every other file enters below them.
layers.public = {
   ["lynse.h"] = "api transfer",
   ["lynse_lua.h"] = "",
   ["lynse_errors.h"] = "*",
   ["lynse_kinds.h"] = "*",
}

-- Headers of ours that a folder may not include although the layer below offers them.
layers.barred = {
   {
      under = "^core/collection/",
      headers = "base/thread.h base/atomic.h base/mpsc.h",
      why = "a collection is a single-threaded state machine (D3)",
   },
   {
      under = "^core/simd/.*_avx2%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
   {
      under = "^core/simd/.*_avx512%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
   {
      under = "^core/simd/.*_vnni%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
   {
      under = "^core/simd/.*_vpopcnt%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
   {
      under = "^core/simd/.*_dotprod%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
   {
      under = "^core/simd/.*_neon%.c$",
      only = "^simd/",
      why = "files of an instruction set include nothing but simd/*.h",
   },
}

-- Headers of others' libraries, each for its own few files (D12).
layers.libraries = {
   ["xxhash.h"] = { "^core/base/hash%.c$" },
   ["zstd.h"] = { "^core/codec/block%.c$" },
   ["zstd_errors.h"] = { "^core/codec/block%.c$" },
   ["msgpack.h"] = { "^lua/msgpack_lua%.c$", "^tests/" },
   ["uv.h"] = { "^server/[^/]*$", "^tests/" },
   ["lua.h"] = { "^lua/", "^server/[^/]*$", "^tests/" },
   ["lauxlib.h"] = { "^lua/", "^server/[^/]*$", "^tests/" },
   ["lualib.h"] = { "^lua/", "^server/[^/]*$", "^tests/" },
   ["luajit.h"] = { "^lua/", "^server/method_guard%.c$", "^tests/" },
   ["cmocka.h"] = { "^tests/support/test%.h$" },
   ["immintrin.h"] = { "^core/simd/", "^core/base/hash%.c$", "^bench/" },
   ["nmmintrin.h"] = { "^core/base/hash%.c$" },
   ["wmmintrin.h"] = { "^core/base/hash%.c$" },
   ["arm_neon.h"] = { "^core/simd/" },
   ["arm_acle.h"] = { "^core/base/hash%.c$" },
   ["cpuid.h"] = { "^core/simd/cpu%.c$", "^core/base/hash%.c$" },
   ["linux/io_uring.h"] = { "^core/os/read_queue%.c$" },
   ["linux/filter.h"] = { "^tests/unit/os/test_read_queue%.c$" },
   ["linux/seccomp.h"] = { "^tests/unit/os/test_read_queue%.c$" },
   ["sys/auxv.h"] = { "^core/simd/cpu%.c$", "^core/base/hash%.c$" },
   ["asm/hwcap.h"] = { "^core/simd/cpu%.c$", "^core/base/hash%.c$" },
   ["stdatomic.h"] = { "^core/base/atomic%.h$", "^tests/", "^bench/" },
   ["pthread.h"] = {
      "^core/base/thread%.[ch]$", "^core/base/check%.c$", "^core/base/log%.c$",
      "^core/os/fork_registry%.c$", "^core/simd/select%.c$", "^tests/", "^bench/",
   },
   ["dlfcn.h"] = { "^tests/server/tsan_close%.c$" },
   ["sanitizer/asan_interface.h"] = { "^core/base/poison%.h$" },
}

-- The C library, POSIX and Linux; a header that is not here is somebody's library and needs a line
-- above.
layers.system = "arpa/inet.h assert.h ctype.h dirent.h errno.h fcntl.h fenv.h float.h getopt.h "
   .. "inttypes.h limits.h linux/falloc.h linux/fs.h linux/magic.h malloc.h math.h netdb.h "
   .. "netinet/in.h netinet/tcp.h poll.h sched.h setjmp.h signal.h stdalign.h stdarg.h stdbool.h "
   .. "stddef.h stdint.h stdio.h stdlib.h string.h strings.h sys/epoll.h sys/file.h sys/mman.h "
   .. "sys/mount.h sys/prctl.h sys/random.h sys/resource.h sys/socket.h sys/stat.h sys/statfs.h "
   .. "sys/statvfs.h sys/syscall.h sys/sysinfo.h sys/sysmacros.h sys/time.h sys/types.h "
   .. "sys/uio.h sys/un.h sys/utsname.h sys/vfs.h sys/wait.h time.h unistd.h"

return layers
