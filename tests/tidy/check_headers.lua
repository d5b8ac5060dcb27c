-- SPDX-License-Identifier: Apache-2.0
-- check_headers.lua: each header compiles alone, seeing only the layers that its folder may see.
local checkout = require "checkout"

local FLAGS = "-fsyntax-only -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wshadow "
   .. "-Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror -x c"

-- build/tidy/include/<layer>/<layer> -> core/<layer>, as in a build.
local function link_roots(tree, home)
   local commands = {}
   for layer in pairs(tree.data.layers.core) do
      commands[#commands + 1] = ("mkdir -p %s/include/%s && ln -sfn %s %s/include/%s/%s"):format(
         home, layer, checkout.quote("../../../../core/" .. layer), home, layer, layer)
   end
   for _, guest in ipairs { "lua", "server" } do
      commands[#commands + 1] = ("mkdir -p %s/include/guests && ln -sfn %s %s/include/guests/%s")
         :format(home, checkout.quote("../../../../" .. guest), home, guest)
   end
   return table.concat(commands, "\n")
end

local function roots(tree, path)
   local layers = tree.data.layers
   local layer = path:match("^core/([^/]+)/")
   local list = { "-Icore/include" }
   if layers.core[layer] then
      for name in pairs(layers.reach(layer)) do
         list[#list + 1] = ("-Ibuild/tidy/include/%s"):format(name)
      end
   elseif layer ~= "include" then
      for name in pairs(layers.core) do
         list[#list + 1] = ("-Ibuild/tidy/include/%s"):format(name)
      end
      list[#list + 1] = "-Itests -Ibuild/tidy/include/guests"
      if path:find("^server/") or path:find("^tests/unit/server/") then
         list[#list + 1] = "$(pkg-config --cflags luajit libuv)"
      end
   end
   return table.concat(list, " ")
end

-- A file is unchanged if its name, time and size are; all are checked again when one is not.
local function fingerprint(tree)
   local lines = checkout.lines_of(("cd %s && find core tests lua server -name '*.h' -type f "
      .. "-printf '%%p %%T@ %%s\\n' 2>/dev/null | LC_ALL=C sort"):format(checkout.quote(tree.root)))
   return table.concat(lines, "\n")
end

local function read(path)
   local file = io.open(path, "rb")
   if not file then return nil end
   local text = file:read("*a")
   file:close()
   return text
end

local rule = { name = "headers", what = "each compiles alone (gcc -fsyntax-only)" }
function rule.check(tree, report)
   local root = tree.root
   local stamp = root .. "/build/tidy/headers.stamp"
   local now = fingerprint(tree)
   if read(stamp) == now then return end

   local jobs = {}
   for path in tree:each("c", "^[clst][oeu]?[^/]*/.*%.h$") do
      if path:find("^core/") or path:find("^tests/") or path:find("^server/") then
         jobs[#jobs + 1] = ("gcc %s %s %s 2>&1"):format(FLAGS, roots(tree, path),
            checkout.quote(path))
      end
   end
   os.execute(("cd %s && mkdir -p build/tidy && %s"):format(checkout.quote(root),
      link_roots(tree, "build/tidy"):gsub("\n", " && ")))
   local list = root .. "/build/tidy/headers.jobs"
   local file = assert(io.open(list, "wb"))
   file:write(table.concat(jobs, "\n"), "\n")
   file:close()

   local clean, said = true, {}
   local output = checkout.lines_of(
      ("cd %s && xargs -P 2 -d '\\n' -n 1 sh -c <build/tidy/headers.jobs")
      :format(checkout.quote(root)))
   for _, line in ipairs(output) do
      local path, number, text = line:match("^([^:]+):(%d+):%d+: %w*%s?error: (.*)$")
      if path and not said[line] then
         clean, said[line] = false, true
         report(path:gsub("^build/tidy/include/[^/]+/", "core/"), tonumber(number), text)
      end
   end
   if clean then
      file = assert(io.open(stamp, "wb"))
      file:write(now)
      file:close()
   end
end

return { rule }
