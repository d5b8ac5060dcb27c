-- SPDX-License-Identifier: Apache-2.0
-- c_source.lua: as much of C as the checks need; the house style does the rest.
local c_source = {}

local function blank(text)
   return (text:gsub("[^\n]", " "))
end

-- The end of the literal that opens at `at` with `mark`.
local function literal_end(text, at, mark)
   local i = at + 1
   while i <= #text do
      local c = text:sub(i, i)
      if c == "\\" then
         i = i + 1
      elseif c == mark or c == "\n" then
         return i
      end
      i = i + 1
   end
   return #text
end

-- Comments become spaces, and so does what stands in quotes; newlines stay.
function c_source.strip(text)
   local out, at = {}, 1
   while true do
      local found = text:find("[\"'/]", at)
      if not found then break end
      out[#out + 1] = text:sub(at, found - 1)
      local two = text:sub(found, found + 1)
      local stop
      if two == "/*" then
         local _, last = text:find("*/", found + 2, true)
         stop = last or #text
         out[#out + 1] = blank(text:sub(found, stop))
      elseif two == "//" then
         stop = (text:find("\n", found, true) or #text + 1) - 1
         out[#out + 1] = blank(text:sub(found, stop))
      elseif two:sub(1, 1) == "/" then
         stop = found
         out[#out + 1] = "/"
      else
         local mark = two:sub(1, 1)
         stop = literal_end(text, found, mark)
         out[#out + 1] = mark .. blank(text:sub(found + 1, stop - 1)) .. text:sub(stop, stop)
      end
      at = stop + 1
   end
   out[#out + 1] = text:sub(at)
   return table.concat(out)
end

local function split(text)
   local lines = {}
   for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
   return lines
end

-- The functions defined in stripped text: name, first and last line, body.  A function's braces
-- stand in column 1, nothing else's do.
function c_source.functions(code)
   local lines, functions = split(code), {}
   local opening
   for number, line in ipairs(lines) do
      if line == "{" then
         opening = number
      elseif opening and line:find("^}") then
         local first = opening
         while first > 1 and not lines[first - 1]:find("^%s*$")
            and not lines[first - 1]:find("^[#}]") and not lines[first - 1]:find(";%s*$") do
            first = first - 1
         end
         local signature = table.concat(lines, " ", first, opening - 1)
            :gsub("__attribute__%s*%b()", "")
         functions[#functions + 1] = {
            name = signature:match("([%a_][%w_]*)%s*%(") or "?",
            first = first,
            opening = opening,
            last = number,
            body = table.concat(lines, "\n", opening, number),
         }
         opening = nil
      end
   end
   return functions
end

-- for line, name in calls(code): every `name (` that is no member; definitions are among them.
function c_source.calls(code)
   local line, counted, at = 1, 1, 1
   return function()
      while true do
         local start, stop, name = code:find("([%a_][%w_]*)%s*%(", at)
         if not start then return nil end
         at = stop + 1
         local _, newlines = code:sub(counted, start - 1):gsub("\n", "")
         line, counted = line + newlines, start
         local before = code:sub(math.max(1, start - 80), start - 1):match("(%S?%S)%s*$") or ""
         if before:sub(-1) ~= "." and before ~= "->" then return line, name end
      end
   end
end

return c_source
