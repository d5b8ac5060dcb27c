-- SPDX-License-Identifier: Apache-2.0
-- checkout.lua: the files of a checkout, read once.
local c_source = require "c_source"

local checkout = {}
checkout.__index = checkout

-- Folders that hold no source of ours, anywhere in the tree.
local SKIPPED = {
   "build", ".git", "__pycache__", "*.egg-info", ".venv", ".ruff_cache", ".pytest_cache",
   ".hypothesis", ".cache", ".idea", ".vscode",
}
-- Data that tests read: bytes, not text.
local DATA = { "^tests/corpus/", "^tests/compat/" }

local function quote(text)
   return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function lines_of(command)
   local pipe = assert(io.popen(command))
   local lines = {}
   for line in pipe:lines() do lines[#lines + 1] = line end
   pipe:close()
   return lines
end

local function find_files(root)
   local names = {}
   for _, name in ipairs(SKIPPED) do names[#names + 1] = "-name " .. quote(name) end
   local command = ("cd %s && find . -type d \\( %s \\) -prune -o -type f -print")
      :format(quote(root), table.concat(names, " -o "))
   local files = {}
   for _, line in ipairs(lines_of(command)) do files[#files + 1] = line:sub(3) end
   table.sort(files)
   return files
end

-- data: the tables layers, calls, allow and tree, so that the self-test can bring its own.
function checkout.open(root, data)
   return setmetatable({ root = root, files = find_files(root), data = data, texts = {},
      stripped = {} }, checkout)
end

function checkout:text(path)
   if not self.texts[path] then
      local file = assert(io.open(self.root .. "/" .. path, "rb"))
      self.texts[path] = file:read("*a")
      file:close()
   end
   return self.texts[path]
end

-- C text with comments and the insides of strings blanked; lines keep their numbers.
function checkout:code(path)
   if not self.stripped[path] then self.stripped[path] = c_source.strip(self:text(path)) end
   return self.stripped[path]
end

-- "c", "lua", "python", "shell", "cmake", "text" or "data".
function checkout.kind(path)
   for _, pattern in ipairs(DATA) do
      if path:find(pattern) then return "data" end
   end
   if path:find("%.[ch]$") then return "c" end
   if path:find("%.lua$") or path == ".luacheckrc" then return "lua" end
   if path:find("%.pyi?$") then return "python" end
   if path:find("%.sh$") or path == "dev" or path == ".ci/run" then return "shell" end
   if path:find("%.cmake$") or path:find("CMakeLists%.txt$") then return "cmake" end
   for _, suffix in ipairs { "md", "json", "toml", "txt", "yml", "yaml", "map", "in" } do
      if path:find("%." .. suffix .. "$") then return "text" end
   end
   return path:match("([^/]*)$"):sub(1, 1) == "." and "text" or "data"
end

-- for path in checkout:each("c", "^core/")
function checkout:each(kinds, pattern)
   local i = 0
   return function()
      repeat
         i = i + 1
         local path = self.files[i]
         if not path then return nil end
      until (" " .. kinds .. " "):find(" " .. checkout.kind(path) .. " ", 1, true)
         and (not pattern or path:find(pattern))
      return self.files[i]
   end
end

function checkout:exists(path)
   if not self.known then
      self.known = {}
      for _, file in ipairs(self.files) do self.known[file] = true end
   end
   return self.known[path] or false
end

-- for number, line in checkout.lines(text)
function checkout.lines(text)
   local number, at = 0, 1
   return function()
      if at > #text then return nil end
      local stop = text:find("\n", at, true) or #text + 1
      local line = text:sub(at, stop - 1)
      at, number = stop + 1, number + 1
      return number, line
   end
end

function checkout.line_count(text)
   local _, count = text:gsub("\n", "")
   return count
end

checkout.quote = quote
checkout.lines_of = lines_of
return checkout
