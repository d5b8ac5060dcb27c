-- SPDX-License-Identifier: Apache-2.0
-- check_tree.lua: tree.lua names every file of the product, and nothing else.
local LISTED = { "^core/", "^lua/", "^scripts/", "^server/", "^python/" }

local check_tree = {}

local function is_listed_folder(path)
   for _, pattern in ipairs(LISTED) do
      if path:find(pattern) then return true end
   end
   return false
end

-- The table by path; "buf.[ch]" stands for two files.
local function expand(tree_table)
   local purposes = {}
   for folder, files in pairs(tree_table) do
      for name, purpose in pairs(files) do
         local stem = name:match("^(.*)%.%[ch%]$")
         if stem then
            purposes[folder .. "/" .. stem .. ".c"] = purpose
            purposes[folder .. "/" .. stem .. ".h"] = purpose
         else
            purposes[folder .. "/" .. name] = purpose
         end
      end
   end
   return purposes
end

-- What a file's head comment says of it, as a line for tree.lua to be read over by its author.
local function purpose_of(tree, path)
   local said = tree:text(path):match("\n[/%-#* \"]*" .. path:match("([^/]*)$"):gsub("%p", "%%%0")
      .. "%s*[—:%-]+%s*([^\n]*)")
   said = said or tree:text(path):match('\n"""([^\n]*)')
   if not said then return "" end
   return (said:gsub("%s*%*/%s*$", ""):gsub('"', "'"):gsub("%.%s.*$", ""):gsub("%.$", ""))
end

-- Lines for tree.lua: the files of the product that it does not name.
function check_tree.missing_lines(tree)
   local lines, paired, last_folder = {}, {}, nil
   for _, path in ipairs(check_tree.missing(tree)) do
      local folder, file = path:match("^(.*)/([^/]*)$")
      if folder ~= last_folder then lines[#lines + 1] = ('   ["%s"] = {'):format(folder) end
      last_folder = folder
      local stem, suffix = path:match("^(.*)%.([ch])$")
      local is_pair = stem and tree:exists(stem .. ".c") and tree:exists(stem .. ".h")
      if not (is_pair and paired[stem]) then
         local described = is_pair and stem .. ".h" or path
         local name = is_pair and file:gsub("%.[ch]$", ".[ch]") or file
         lines[#lines + 1] = ('      ["%s"] = "%s",'):format(name, purpose_of(tree, described))
         if suffix then paired[stem] = true end
      end
   end
   return lines
end

-- Files of the product that tree.lua does not name.
function check_tree.missing(tree)
   local purposes, missing = expand(tree.data.tree), {}
   for _, path in ipairs(tree.files) do
      if is_listed_folder(path) and not purposes[path] then missing[#missing + 1] = path end
   end
   return missing
end

local rule = {
   name = "tree",
   what = "tree.lua has one line for every file of the product; none is empty",
}
function rule.check(tree, report)
   for _, path in ipairs(check_tree.missing(tree)) do
      report(path, 1, "has no line in tests/tidy/tree.lua")
   end
   for path, purpose in pairs(expand(tree.data.tree)) do
      if not tree:exists(path) then
         report("tests/tidy/tree.lua", 1, ("names %s, which is not there"):format(path))
      elseif type(purpose) ~= "string" or #purpose < 8 or purpose:find("\n", 1, true) then
         report("tests/tidy/tree.lua", 1, ("no one-line purpose for %s"):format(path))
      end
   end
   for _, path in ipairs(tree.files) do
      if is_listed_folder(path) and not tree:text(path):find("%S")
         and path:sub(-9) ~= "/py.typed" then
         report(path, 1, "is empty")
      end
   end
end

check_tree.rules = { rule }
return check_tree
