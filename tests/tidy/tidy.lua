-- SPDX-License-Identifier: Apache-2.0
-- tidy.lua: the rules of the house, held by a program.
--   luajit tests/tidy/tidy.lua [--root DIR] [--list-missing | --list-rules] [RULE]...
-- Prints `file:line: rule: text` for each finding and ends with `cases: N passed, N failed`, where
-- a rule over the whole tree is a case.
local home = arg and arg[0]:match("^(.*)/[^/]*$") or "."
package.path = home .. "/?.lua;" .. package.path
local checkout = require "checkout"
local check_tree = require "check_tree"

local tidy = { rules = {} }

for _, rules in ipairs {
   require "check_text", require "check_c", require "check_layers", require "check_headers",
   check_tree.rules,
} do
   for _, rule in ipairs(rules) do tidy.rules[#tidy.rules + 1] = rule end
end

function tidy.data()
   return {
      layers = require "layers", calls = require "calls", allow = require "allow",
      tree = require "tree",
   }
end

-- The findings of one rule: a list of {file, line, text}, in the order of files and lines.
function tidy.run(rule, tree)
   local findings = {}
   rule.check(tree, function(file, line, text)
      findings[#findings + 1] = { file = file, line = line, text = text, order = #findings }
   end)
   table.sort(findings, function(a, b)
      if a.file ~= b.file then return a.file < b.file end
      if a.line ~= b.line then return a.line < b.line end
      return a.order < b.order
   end)
   return findings
end

local function main()
   local root, wanted, action = home .. "/../..", {}, "check"
   local i = 1
   while arg[i] do
      if arg[i] == "--root" then
         i = i + 1
         root = arg[i]
      elseif arg[i]:find("^%-%-") then
         action = arg[i]
      else
         wanted[arg[i]] = true
      end
      i = i + 1
   end
   if action == "--list-rules" then
      for _, rule in ipairs(tidy.rules) do print(("%-16s %s"):format(rule.name, rule.what)) end
      return 0
   end
   local tree = checkout.open(root, tidy.data())
   if action == "--list-missing" then
      for _, line in ipairs(check_tree.missing_lines(tree)) do print(line) end
      return 0
   end
   local passed, failed = 0, 0
   for _, rule in ipairs(tidy.rules) do
      if not next(wanted) or wanted[rule.name] then
         local findings = tidy.run(rule, tree)
         for _, found in ipairs(findings) do
            print(("%s:%d: %s: %s"):format(found.file, found.line, rule.name, found.text))
         end
         if #findings > 0 then failed = failed + 1 else passed = passed + 1 end
      end
   end
   print(("cases: %d passed, %d failed"):format(passed, failed))
   return failed == 0 and passed > 0 and 0 or 1
end

if arg and arg[0]:find("tidy%.lua$") then os.exit(main()) end
return tidy
