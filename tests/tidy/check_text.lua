-- SPDX-License-Identifier: Apache-2.0
-- check_text.lua: rules for every text that we write.
local checkout = require "checkout"

local SOURCE = "c lua python shell cmake"
local COLUMNS = 100
local LINES, LINES_HARD = 600, 900

local function line_at(text, number)
   for n, line in checkout.lines(text) do
      if n == number then return line end
   end
   return ""
end

local spdx = { name = "spdx", what = "the licence on the first line, or below the #! line" }
function spdx.check(tree, report)
   for path in tree:each(SOURCE) do
      local text = tree:text(path)
      local number = text:sub(1, 2) == "#!" and 2 or 1
      if not line_at(text, number):find("SPDX-License-Identifier: Apache-2.0", 1, true) then
         report(path, number, "no SPDX-License-Identifier: Apache-2.0")
      end
   end
end

local file_length = {
   name = "file-length",
   what = ("at most %d lines; to %d with a reason in allow.lua"):format(LINES, LINES_HARD),
}
function file_length.check(tree, report)
   for path in tree:each(SOURCE) do
      local count = checkout.line_count(tree:text(path))
      if count > LINES_HARD then
         report(path, 1, ("%d lines; split it by verb"):format(count))
      elseif count > LINES and not tree.data.allow.file_length[path] then
         report(path, 1, ("%d lines, and no reason in allow.lua"):format(count))
      end
   end
end

-- A letter is one column, however many bytes it has.
local function columns(line)
   local _, continuation = line:gsub("[\128-\191]", "")
   return #line - continuation
end

local form = {
   name = "form",
   what = "100 columns, no tab, no space at a line's end, one newline at the file's",
}
function form.check(tree, report)
   for path in tree:each(SOURCE .. " text") do
      local text = tree:text(path)
      local is_text = checkout.kind(path) == "text"
      for number, line in checkout.lines(text) do
         if line:find("\r", 1, true) then report(path, number, "carriage return") end
         if line:find("%s$") then report(path, number, "space at the end of the line") end
         if not is_text and line:find("\t", 1, true) then report(path, number, "tab") end
         if not is_text and columns(line) > COLUMNS then
            report(path, number, ("%d columns"):format(columns(line)))
         end
      end
      if #text > 0 and text:sub(-1) ~= "\n" then
         report(path, checkout.line_count(text) + 1, "no newline at the end")
      elseif text:sub(-2) == "\n\n" then
         report(path, checkout.line_count(text), "empty line at the end")
      end
   end
end

local todo = { name = "todo", what = "TODO(owner, condition): text; no FIXME, XXX, HACK" }
function todo.check(tree, report)
   for path in tree:each(SOURCE .. " text") do
      if not path:find("^tests/tidy/") and path ~= "CONTRIBUTING.md" then
         for number, line in checkout.lines(tree:text(path)) do
            local word = line:match("%f[%w]TODO%f[%W]") or line:match("%f[%w]FIXME%f[%W]")
               or line:match("%f[%w]XXX%f[%W]") or line:match("%f[%w]HACK%f[%W]")
            if word and not (word == "TODO" and line:find("TODO%(%w[^,()]*, [^()]+%): %S")) then
               report(path, number, word .. " without owner and condition")
            end
         end
      end
   end
end

-- Patterns with a class inside, so that this file does not name what it forbids.
local WORDS = {
   { "%f[/%w]/work[/]", "a path of somebody's machine" },
   { "%f[/%w]/root[/]", "a path of somebody's machine" },
   { "%f[/%w]/home[/]%w", "a path of somebody's machine" },
   { "%f[/%w]/Users[/]", "a path of somebody's machine" },
   { "pypi%.or[g]", "a registry's host: pip and npm are told theirs by the environment" },
   { "pythonhosted%.or[g]", "a registry's host" },
   { "registry%.npmj[s]", "a registry's host" },
   { "deb%.debian%.or[g]", "a mirror's host: apt is told its own by the machine" },
   { "crates%.i[o]", "a registry's host" },
}
local words = { name = "words", what = "no machine's path, no registry's host" }
function words.check(tree, report)
   for path in tree:each(SOURCE .. " text") do
      local text = tree:text(path)
      for _, word in ipairs(WORDS) do
         if text:find(word[1]) then
            for number, line in checkout.lines(text) do
               if line:find(word[1]) then report(path, number, word[2]) end
            end
         end
      end
   end
end

local VAGUE = { util = true, utils = true, common = true, helper = true, helpers = true,
   misc = true, manager = true }
local names = { name = "names", what = "a file's name says the verb or the thing" }
function names.check(tree, report)
   for path in tree:each(SOURCE) do
      local stem = path:match("([^/]*)$"):gsub("%..*$", "")
      for part in stem:gmatch("[^_%-]+") do
         if VAGUE[part] then report(path, 1, ("'%s' says nothing"):format(part)) end
      end
   end
end

local UNRELEASED = "^docs/changes/unreleased/"
local changes = {
   name = "changes",
   what = "docs/changes/unreleased/: lower-case-words.md of two sentences, each on its line",
}
function changes.check(tree, report)
   for _, path in ipairs(tree.files) do
      if path:find(UNRELEASED) then
         local count, short = 0
         for number, line in checkout.lines(tree:text(path)) do
            count = number
            -- A sentence: not a word, nor a list or title of markdown.
            if not line:find("^[%w`]") or line:sub(-1) ~= "." or #line < 20 then
               short = short or number
            end
         end
         if not path:gsub(UNRELEASED, ""):find("^[%l%d]+[%l%d%-]*%.md$") then
            report(path, 1, "a file is called lower-case-words.md")
         elseif count ~= 2 then
            report(path, 1, ("%d lines, not two"):format(count))
         elseif short then
            report(path, short, "not a sentence")
         end
      end
   end
end

return { spdx, file_length, form, todo, words, names, changes }
