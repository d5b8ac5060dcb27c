-- SPDX-License-Identifier: Apache-2.0
-- selftest.lua: the rules prove themselves.  Each is given a small clean checkout, in which it must
-- find nothing, and the same with one violation, which it must find in its place.
local home = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = home .. "/?.lua;" .. package.path
local checkout = require "checkout"
local tidy = require "tidy"

local LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */\n"
local LUA_LICENCE = "-- SPDX-License-Identifier: Apache-2.0\n"
local function filler(count)
   return ("int x;\n"):rep(count)
end

local CLEAN = {
   ["core/CMakeLists.txt"] = "# SPDX-License-Identifier: Apache-2.0\n"
      .. "lynse_layer(base)\nlynse_layer(codec base)\n",
   ["core/base/thing.h"] = LICENCE .. "/* thing.h — what the rules have nothing against. */\n"
      .. "#ifndef BASE_THING_H\n#define BASE_THING_H\n\n#include <stddef.h>\n\n"
      .. "typedef int thing_fn(void *ctx);\n\n/* TODO(someone, when there are two): count. */\n"
      .. "size_t thing_size(const char *text);\n\n#endif\n",
   ["core/base/thing.c"] = LICENCE .. '#include "base/thing.h"\n\n#include <string.h>\n\n'
      .. "size_t thing_size(const char *text)\n{\n    size_t size = 0;\n"
      .. "    if (!text) goto out; /* strcpy(a, b) */\n"
      .. '    size = strlen(text) + sizeof "malloc(";\nout:\n    return size;\n}\n',
   ["core/codec/user.c"] = LICENCE .. "/* user.c — uses a thing. */\n"
      .. '#include "base/thing.h"\n\nint user_close(struct user *user)\n{\n'
      .. "    return user->vtab->close(user) + user->free(user);\n}\n",
   ["docs/changes/unreleased/faster-reads.md"] = "`get` reads twice as fast.\n"
      .. "Nothing has to be done for it.\n",
   ["scripts/rpc/count.lua"] = LUA_LICENCE .. 'local args = require "lynse.args"\nreturn args\n',
}
local CLEAN_TREE = {
   ["core"] = { ["CMakeLists.txt"] = "the layers of this checkout" },
   ["core/base"] = { ["thing.[ch]"] = "a thing of no importance" },
   ["core/codec"] = { ["user.c"] = "somebody who uses a thing" },
   ["scripts/rpc"] = { ["count.lua"] = "how many things there are" },
}

-- One violation each: the rule, the file that is written, the line where it must be found, the text
-- of the file, and perhaps a file that is removed.
local essay_head = LICENCE .. "/* long.c — long.\n *\n * WHAT        It.\n * THREADS     Any.\n"
   .. " * FAILURE     None.\n */\n"
local CASES = {
   { "spdx", "core/base/new.c", 1, "int x;\n" },
   { "spdx", "tools/new.sh", 2, "#!/bin/sh\necho\n" },
   { "file-length", "core/base/new.c", 1, LICENCE .. filler(600) },
   { "file-length", "core/base/allowed.c", 1, LICENCE .. filler(900) },
   { "form", "core/base/new.c", 2, LICENCE .. "int x; \n" },
   { "form", "core/base/new.c", 2, LICENCE .. "\tint x;\n" },
   { "form", "core/base/new.c", 2, LICENCE .. "/* " .. ("é"):rep(98) .. " */\n" },
   { "form", "docs/new.md", 1, "no newline" },
   { "form", "docs/new.md", 2, "an empty line\n\n" },
   { "todo", "core/base/new.c", 2, LICENCE .. "/* TODO: later */\n" },
   { "todo", "docs/new.md", 1, "FIXME(somebody, never): text\n" },
   { "words", "docs/new.md", 1, "see /wo" .. "rk/main\n" },
   { "words", "tools/new.sh", 2, "# SPDX-License-Identifier: Apache-2.0\ncd /ro" .. "ot/x\n" },
   { "words", "docs/new.md", 1, "from py" .. "pi.org\n" },
   { "names", "core/base/string_util.c", 1, LICENCE },
   { "changes", "docs/changes/unreleased/one.md", 1, "Somebody sees something new.\n" },
   { "changes", "docs/changes/unreleased/new.md", 2, "Somebody sees something new.\nso what\n" },
   { "changes", "docs/changes/unreleased/Big_News.md", 1, "Something is new.\nIt is good.\n" },
   { "function-length", "core/base/new.c", 3,
      LICENCE .. "\nint\nlong_one(void)\n{\n" .. ("    x();\n"):rep(67) .. "}\n" },
   { "recursion", "core/base/new.c", 2, LICENCE .. "int f(int n)\n{\n    return f(n - 1);\n}\n" },
   { "recursion", "core/base/new.c", 3, LICENCE .. "int g(int n);\nint f(int n)\n{\n"
      .. "    return g(n);\n}\n\nint g(int n)\n{\n    return f(n);\n}\n" },
   { "calls", "core/base/new.c", 4, LICENCE .. "void f(void)\n{\n    strcpy(a, b);\n}\n" },
   { "calls", "tests/sim/new.c", 4, LICENCE .. "void f(void)\n{\n    sprintf (a, b);\n}\n" },
   { "calls", "core/codec/new.c", 4, LICENCE .. "void f(void)\n{\n    int *p = malloc(4);\n}\n" },
   { "calls", "core/codec/new.c", 4, LICENCE .. "void f(void)\n{\n    (void)fsync(fd);\n}\n" },
   { "calls", "core/codec/new.c", 4, LICENCE .. "void f(void)\n{\n    fprintf(stderr, x);\n}\n" },
   { "calls", "core/engine/new.c", 4, LICENCE .. "void f(void)\n{\n    pthread_create(x);\n}\n" },
   { "guard", "core/base/new.h", 1, LICENCE .. "#ifndef NEW_H\n#define NEW_H\n#endif\n" },
   { "guard", "tests/support/new.h", 1, LICENCE .. "int x;\n" },
   { "essay", "core/base/new.h", 2, LICENCE .. "/* a header */\n" },
   { "essay", "core/base/long.c", 2, essay_head .. filler(150) },
   { "atomics", "core/codec/new.c", 2, LICENCE .. "static _Atomic int x;\n" },
   { "atomics", "core/codec/new.c", 2, LICENCE .. "int x = atomic_load(&y);\n" },
   { "fences", "core/actor/new.c", 2, LICENCE .. "atomic_thread_fence(memory_order_seq_cst);\n" },
   { "goto", "core/base/new.c", 2, LICENCE .. "    goto again;\n" },
   { "typedef", "core/base/new.h", 2, LICENCE .. "typedef struct thing {\n    int x;\n} thing;\n" },
   { "layers", "core/base/new.c", 2, LICENCE .. '#include "codec/value.h"\n' },
   { "layers", "core/base/new.c", 2, LICENCE .. '#include "thing.h"\n' },
   { "layers", "core/base/new.c", 2, LICENCE .. '#include "lynse.h"\n' },
   { "layers", "core/nothing/new.c", 2, LICENCE .. '#include "base/thing.h"\n' },
   { "layers", "core/include/new.h", 2, LICENCE .. '#include "base/thing.h"\n' },
   { "layers", "core/collection/new.c", 2, LICENCE .. '#include "base/thread.h"\n' },
   { "layers", "core/simd/bits_avx2.c", 2, LICENCE .. '#include "base/thing.h"\n' },
   { "layers", "server/new.c", 2, LICENCE .. '#include "engine/engine.h"\n' },
   { "layers", "server/cluster/new.c", 2, LICENCE .. '#include "store/wal.h"\n' },
   { "layers", "examples/new.c", 2, LICENCE .. '#include "base/thing.h"\n' },
   { "libraries", "core/store/new.c", 2, LICENCE .. "#include <zstd.h>\n" },
   { "libraries", "core/store/new.c", 2, LICENCE .. "#include <somebody.h>\n" },
   { "cmake-layers", "core/CMakeLists.txt", 2,
      "# SPDX-License-Identifier: Apache-2.0\nlynse_layer(base codec)\nlynse_layer(codec base)\n" },
   { "cmake-layers", "core/field/new.c", 1, LICENCE },
   { "requires", "scripts/rpc/new.lua", 2, LUA_LICENCE .. 'local x = require "socket"\n' },
   { "requires", "scripts/rpc/new.lua", 2, LUA_LICENCE .. 'local x = io.open("x")\n' },
   { "headers", "core/base/new.h", 4,
      LICENCE .. "#ifndef BASE_NEW_H\n#define BASE_NEW_H\nsize_t new_size(void);\n#endif\n" },
   { "headers", "core/base/new.h", 4,
      LICENCE .. '#ifndef BASE_NEW_H\n#define BASE_NEW_H\n#include "codec/user.h"\n#endif\n' },
   { "tree", "core/base/new.c", 1, LICENCE },
   { "tree", "tests/tidy/tree.lua", 1, LUA_LICENCE, "core/codec/user.c" },
   { "tree", "core/codec/user.c", 1, "" },
}

local function write(root, path, text)
   local folder = (root .. "/" .. path):match("^(.*)/")
   assert(os.execute("mkdir -p " .. checkout.quote(folder)) == 0)
   local file = assert(io.open(root .. "/" .. path, "wb"))
   file:write(text)
   file:close()
end

local function remove(root)
   os.execute("rm -rf " .. checkout.quote(root))
end

local function open(root)
   local data = tidy.data()
   data.tree = CLEAN_TREE
   data.allow = {
      file_length = { ["core/base/allowed.c"] = "to be refused all the same" },
      recursion = {}, atomics = { ["core/actor/"] = "fences are another rule" },
   }
   return checkout.open(root, data)
end

local function make_clean(root)
   remove(root)
   for path, text in pairs(CLEAN) do write(root, path, text) end
end

local function find_rule(name)
   for _, rule in ipairs(tidy.rules) do
      if rule.name == name then return rule end
   end
   error("no rule " .. name)
end

local passed, failed = 0, 0
local function verdict(good, text)
   if good then
      passed = passed + 1
   else
      failed = failed + 1
      print("selftest: " .. text)
   end
end

local root = checkout.lines_of("mktemp -d")[1]
make_clean(root)
for _, rule in ipairs(tidy.rules) do
   local findings = tidy.run(rule, open(root))
   local first = findings[1] or {}
   verdict(#findings == 0, ("%s found %s:%s in the clean checkout: %s"):format(rule.name,
      tostring(first.file), tostring(first.line), tostring(first.text)))
end

local proven = {}
for _, case in ipairs(CASES) do
   local name, path, line, text, removed = unpack(case)
   make_clean(root)
   write(root, path, text)
   if removed then os.remove(root .. "/" .. removed) end
   local found = false
   for _, finding in ipairs(tidy.run(find_rule(name), open(root))) do
      if finding.file == path and finding.line == line then found = true end
   end
   proven[name] = true
   verdict(found, ("%s does not see what is wrong with %s:%d: %s"):format(name, path, line,
      text:sub(-60)))
end
for _, rule in ipairs(tidy.rules) do
   verdict(proven[rule.name], rule.name .. " has no case here")
end
-- A library with one fault each, and what check_symbols.sh must say of it.
local SYMBOLS = {
   { "int lynse_fine(void) { return 1; }", nil },
   { "int lynse_fine(void) { return 1; } int plain(void) { return 2; }", "shows other names" },
   { "int lynse_fine(void) { return 1; } int lynse_state;", "variables of the process" },
   { "const char lynse_large[1600000] = { 1 };", "too large" },
   { "char *crypt(); char *lynse_crypt(void) { return crypt(); }", "needs more than", "-lcrypt" },
}
for _, case in ipairs(SYMBOLS) do
   local source, expected, flags = unpack(case)
   remove(root)
   write(root, "source.c", source .. "\n")
   local output = table.concat(checkout.lines_of(("cd %s "
      .. "&& objects=core/CMakeFiles/core_new.dir/new && mkdir -p lib $objects "
      .. "&& gcc -w -fPIC -c source.c -o $objects/source.c.o "
      .. "&& gcc -shared $objects/source.c.o -o lib/liblynse.so %s "
      .. "&& ar rcs lib/liblynse.a $objects/source.c.o; cd - >/dev/null; sh %s/check_symbols.sh %s")
      :format(checkout.quote(root), flags or "", checkout.quote(home), checkout.quote(root))), "\n")
   local good = output:find("cases: %d+ passed, 0 failed") ~= nil
   verdict(expected and not good and output:find(expected, 1, true) or not expected and good,
      ("check_symbols.sh says of '%s': %s"):format(source, output))
end
remove(root)
print(("cases: %d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
