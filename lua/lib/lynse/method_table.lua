-- SPDX-License-Identifier: Apache-2.0
-- method_table.lua: what the table of a method must be, told when the server starts.
--
-- Ours and the operator's alike.  What a call would stumble over, or what would spoil the answers
-- of api_info and /openapi.json for all, ends the start with the file and what is wrong.
local args = require "lynse.args"

local method_table = {}

local NAME = "^%l[%l%d_]*$"
local NAME_BYTES, DEPTH_MAX = 31, 16

-- Of each field what it must be.  arguments, aliases and returns are looked into.
local fields = {
   summary = "string", arguments = "table", returns = "table", run = "function",
   aliases = "table", public = "boolean", mutates = "boolean", urgent = "boolean",
   lenient = "boolean", rpc_only = "boolean",
}
local argument_fields = {
   doc = "string", required = "boolean", low = "number", high = "number", choices = "table",
   msgpack_only = "boolean",
}
-- What a default is, of the kinds that may have one.
local defaults = {
   name = "string", text = "string", flag = "boolean", integer = "number", number = "number",
   value = "table",
}
local words = { string = "a text", table = "a table", number = "a number",
   boolean = "true or false", ["function"] = "a function", ["nil"] = "missing" }

local kinds = {}
for _, kind in ipairs(args.kinds) do kinds[kind] = true end

local function word(value) return words[type(value)] or "a " .. type(value) end

local function refuse(place, text, ...) error(place .. ": " .. text:format(...), 0) end

local function expect(place, name, value, expected)
   if type(value) ~= expected then
      refuse(place, "%s: %s, must be %s", name, word(value), words[expected])
   end
end

local function names_of(of)
   local names = {}
   for name in pairs(of) do names[#names + 1] = name end
   table.sort(names)
   return table.concat(names, ", ")
end

-- Every field that is there is known and of its type.  first: where other keys may be that are
-- whole numbers, the first of them that may not.
local function check_fields(place, prefix, given, known, first)
   for name, value in pairs(given) do
      local is_place = first and type(name) == "number" and name >= 1 and name < first
      if not is_place and not known[name] then
         refuse(place, "%sthere is no field '%s'; there are %s", prefix, tostring(name),
            names_of(known))
      elseif not is_place then
         expect(place, prefix .. name, value, known[name])
      end
   end
end

-- A list without holes, of at most so many.
local function check_list(place, name, list, most)
   local count = 0
   for _ in pairs(list) do count = count + 1 end
   if count ~= #list then refuse(place, "%s: must be a list, and nothing besides", name) end
   if count > most then refuse(place, "%s: %d entries, at most %d", name, count, most) end
end

local function check_name(place, what, name)
   if type(name) ~= "string" or not name:match(NAME) or #name > NAME_BYTES then
      refuse(place, "%s: '%s', must be 1 to %d of a to z, digits and _, a letter first", what,
         tostring(name), NAME_BYTES)
   end
end

local function check_bounds(place, prefix, argument)
   local low, high, default = argument.low, argument.high, argument.default
   if low and high and low > high then
      refuse(place, "%slow: %.15g is more than high, %.15g", prefix, low, high)
   end
   local measure = type(default) == "string" and #default or default
   if type(measure) ~= "number" then return end
   if (low and measure < low) or (high and measure > high) then
      refuse(place, "%sdefault: '%s' is not within low and high", prefix, tostring(default))
   end
end

local function check_default(place, prefix, argument)
   local default, expected = argument.default, defaults[argument[2]]
   if default == nil then return end
   if not expected then refuse(place, "%sdefault: a %s has none", prefix, argument[2]) end
   expect(place, prefix .. "default", default, expected)
   if argument.required then refuse(place, "%sdefault: it is required as well", prefix) end
end

local function check_choices(place, prefix, argument)
   if not argument.choices then return end
   if argument[2] ~= "text" then refuse(place, "%schoices: only of a text", prefix) end
   check_list(place, prefix .. "choices", argument.choices, 100)
   local is_found = argument.default == nil
   for i, choice in ipairs(argument.choices) do
      expect(place, ("%schoices[%d]"):format(prefix, i), choice, "string")
      is_found = is_found or choice == argument.default
   end
   if #argument.choices == 0 then refuse(place, "%schoices: there are none", prefix) end
   if not is_found then refuse(place, "%sdefault: none of its choices", prefix) end
end

local function check_argument(place, i, argument)
   local prefix = ("arguments[%d]"):format(i)
   expect(place, prefix, argument, "table")
   check_name(place, prefix .. "[1]", argument[1])
   prefix = ("%s '%s': "):format(prefix, argument[1])
   if not kinds[argument[2]] then
      refuse(place, "%sthere is no kind '%s'; there are %s", prefix, tostring(argument[2]),
         table.concat(args.kinds, ", "))
   end
   local known = setmetatable({ default = type(argument.default) }, { __index = argument_fields })
   check_fields(place, prefix, argument, known, 3)
   check_default(place, prefix, argument)
   check_bounds(place, prefix, argument)
   check_choices(place, prefix, argument)
end

local function check_arguments(place, list)
   local seen = { [args.timeout[1]] = true }
   check_list(place, "arguments", list, args.count_max - 1) -- beside timeout_ms
   for i, argument in ipairs(list) do
      check_argument(place, i, argument)
      if seen[argument[1]] then
         refuse(place, "arguments[%d]: '%s' is there twice", i, argument[1])
      end
      seen[argument[1]] = true
   end
end

-- What an answer can be made of: no functions, nothing that is inside itself.
local function check_data(place, name, value, depth)
   local kind = type(value)
   if kind == "function" or kind == "thread" or kind == "cdata" then
      refuse(place, "%s: holds a %s", name, kind)
   elseif kind == "table" then
      if depth == 0 then refuse(place, "%s: more than %d levels", name, DEPTH_MAX) end
      for key, of in pairs(value) do
         check_data(place, name, key, depth - 1)
         check_data(place, name, of, depth - 1)
      end
   end
end

-- place: the file, and where it is known the line, that an error begins with.
function method_table.check(method, place)
   if type(method) ~= "table" then
      refuse(place, "returns %s, must return the table of a method",
         method == nil and "nothing" or word(method))
   end
   check_fields(place, "", method, fields)
   expect(place, "summary", method.summary, "string")
   expect(place, "run", method.run, "function")
   expect(place, "arguments", method.arguments, "table")
   expect(place, "returns", method.returns, "table")
   check_arguments(place, method.arguments)
   check_data(place, "returns", method.returns, DEPTH_MAX)
   check_list(place, "aliases", method.aliases or {}, 8)
   for i, alias in ipairs(method.aliases or {}) do
      check_name(place, ("aliases[%d]"):format(i), alias)
   end
end

return method_table
