-- SPDX-License-Identifier: Apache-2.0
-- check_c.lua: rules for C that the compiler does not hold.
local checkout = require "checkout"
local c_source = require "c_source"

local FUNCTION_LINES = 70
local ESSAY_LINES = 150
local ESSAY_WORDS = { "WHAT", "INVARIANTS", "THREADS", "FAILURE" }
-- What ships; tests may do more.
local SHIPPED = { "^core/", "^lua/", "^server/" }

local function is_shipped(path)
   for _, pattern in ipairs(SHIPPED) do
      if path:find(pattern) then return true end
   end
   return false
end

local function stem(path)
   return path:match("([^/]*)$")
end

local function_length = {
   name = "function-length",
   what = ("at most %d lines from signature to brace"):format(FUNCTION_LINES),
}
function function_length.check(tree, report)
   for path in tree:each "c" do
      for _, fn in ipairs(c_source.functions(tree:code(path))) do
         local count = fn.last - fn.first + 1
         if count > FUNCTION_LINES then
            report(path, fn.first, ("%s has %d lines"):format(fn.name, count))
         end
      end
   end
end

-- Functions of the file that `fn` calls.
local function callees(fn, by_name)
   local found = {}
   for _, name in c_source.calls(fn.body) do
      if by_name[name] then found[name] = true end
   end
   return found
end

-- Whether `from` reaches itself.
local function is_recursive(from, graph)
   local seen, waiting = {}, { from }
   while #waiting > 0 do
      local name = table.remove(waiting)
      for next_name in pairs(graph[name]) do
         if next_name == from then return true end
         if not seen[next_name] then
            seen[next_name] = true
            waiting[#waiting + 1] = next_name
         end
      end
   end
   return false
end

local recursion = { name = "recursion", what = "none within a file, but what allow.lua names" }
function recursion.check(tree, report)
   for path in tree:each "c" do
      if is_shipped(path) and not tree.data.allow.recursion[path] then
         local by_name, graph = {}, {}
         local functions = c_source.functions(tree:code(path))
         for _, fn in ipairs(functions) do by_name[fn.name] = true end
         for _, fn in ipairs(functions) do graph[fn.name] = callees(fn, by_name) end
         for _, fn in ipairs(functions) do
            if is_recursive(fn.name, graph) then
               report(path, fn.first, fn.name .. " reaches itself")
            end
         end
      end
   end
end

local function is_under(path, patterns)
   for _, pattern in ipairs(patterns or {}) do
      if path:find(pattern) then return true end
   end
   return false
end

local calls = { name = "calls", what = "no function that calls.lua bans here" }
function calls.check(tree, report)
   for path in tree:each "c" do
      local banned = {}
      for _, group in ipairs(tree.data.calls) do
         if is_under(path, group.under) and not is_under(path, group.except) then
            for name in group.names:gmatch("%S+") do banned[name] = group.why end
         end
      end
      if next(banned) then
         for line, name in c_source.calls(tree:code(path)) do
            local why = banned[name] or (name:find("^pthread_") and banned["pthread_*"])
            if why then report(path, line, ("%s: %s"):format(name, why)) end
         end
      end
   end
end

-- core/base/buf.h: BASE_BUF_H; core/include/lynse.h: LYNSE_H.
local function guard_of(path)
   local folder, file = path:match("([^/]*)/([^/]*)$")
   local name = folder == "include" and file or folder .. "_" .. file
   return (name:gsub("[^%w]", "_"):upper())
end

local guard = { name = "guard", what = "a header is guarded by LAYER_FILE_H" }
function guard.check(tree, report)
   for path in tree:each("c", "/.*%.h$") do
      local expected = guard_of(path)
      local first, second = tree:code(path):match("^%s*#ifndef%s+([%w_]+)%s+#define%s+([%w_]+)")
      if not first or first ~= second or first:sub(-#expected) ~= expected
         or (first ~= expected and path:find("^core/")) then
         report(path, 1, "the guard is not " .. expected)
      end
   end
end

local function head_comment(text)
   return text:match("^[^\n]*\n(/%*.-%*/)") or ""
end

local essay = {
   name = "essay",
   what = ("line 2 says what a core file is, in the header where .c has one; a .c over %d lines "
      .. "has an essay: %s, or 'see x.h'"):format(ESSAY_LINES, table.concat(ESSAY_WORDS, ", ")),
}
function essay.check(tree, report)
   for path in tree:each("c", "^core/") do
      local text = tree:text(path)
      local head = head_comment(text)
      local is_long = path:find("%.c$") and checkout.line_count(text) > ESSAY_LINES
      local has_header = path:find("%.c$") and tree:exists(path:sub(1, -2) .. "h")
      if (is_long or not has_header) and head:sub(1, #stem(path) + 3) ~= "/* " .. stem(path) then
         report(path, 2, ("the head comment does not begin '/* %s — '"):format(stem(path)))
      end
      if is_long then
         -- Files that share their invariants say so: "see collection.h".
         local refers = head:find("%f[%w][Ss]ee [%w_/]+%.h")
         for _, word in ipairs(ESSAY_WORDS) do
            if not head:find("\n %* " .. word .. "%f[%W]") and not (refers and word ~= "WHAT") then
               report(path, 2, "the head comment has no " .. word)
            end
         end
      end
   end
end

local atomics = { name = "atomics", what = "only in the files that allow.lua names" }
function atomics.check(tree, report)
   for path in tree:each "c" do
      local reason = false
      for name in pairs(tree.data.allow.atomics) do
         if path == name or (name:sub(-1) == "/" and path:sub(1, #name) == name) then
            reason = true
         end
      end
      if is_shipped(path) and not reason then
         for number, line in checkout.lines(tree:code(path)) do
            if line:find("%f[%w_]atomic_%w") or line:find("_Atomic", 1, true)
               or line:find("__atomic_", 1, true) or line:find("__sync_", 1, true)
               or line:find("<stdatomic.h>", 1, true) then
               report(path, number, "an atomic outside the files that may have one")
            end
         end
      end
   end
end

local fences = { name = "fences", what = "no atomic_thread_fence: TSan misreads it" }
function fences.check(tree, report)
   for path in tree:each "c" do
      for number, line in checkout.lines(tree:code(path)) do
         if line:find("%f[%w_]atomic_thread_fence") or line:find("__sync_synchronize", 1, true) then
            report(path, number, "a fence; order the objects instead")
         end
      end
   end
end

local gotos = { name = "goto", what = "to a single out: label" }
function gotos.check(tree, report)
   for path in tree:each "c" do
      for number, line in checkout.lines(tree:code(path)) do
         local label = line:match("%f[%w_]goto%s+([%w_]+)")
         if label and label ~= "out" then report(path, number, "goto " .. label) end
      end
   end
end

local typedefs = {
   name = "typedef",
   what = "of function types alone (name_fn), and of what C cannot name without (__int128)",
}
function typedefs.check(tree, report)
   for path in tree:each("c", "^core/") do
      local code = tree:code(path)
      for at, declaration in code:gmatch("()%f[%w_]typedef%s+([^;]*);") do
         local name = declaration:match("([%a_][%w_]*)%s*%b()%s*$")
         local is_function = name and (name:find("_fn$") or path:find("^core/include/"))
         if not is_function and not declaration:find("__int128", 1, true) then
            report(path, checkout.line_count(code:sub(1, at)) + 1, "typedef of something else")
         end
      end
   end
end

return { function_length, recursion, calls, guard, essay, atomics, fences, gotos, typedefs }
