-- SPDX-License-Identifier: Apache-2.0
-- check_layers.lua: every include and require against layers.lua.
local checkout = require "checkout"

local function word_set(text)
   local set = {}
   for word in text:gmatch("%S+") do set[word] = true end
   return set
end

-- for number, name, is_system in includes(tree, path)
local function includes(tree, path)
   local raw = checkout.lines(tree:text(path))
   local code = checkout.lines(tree:code(path))
   return function()
      while true do
         local number, line = raw()
         local _, stripped = code()
         if not number then return nil end
         if stripped and stripped:find("^%s*#%s*include") then
            local mark, name = line:match('#%s*include%s*(["<])([^">]*)')
            if name then return number, name, mark == "<" end
         end
      end
   end
end

local function matches(path, patterns)
   for _, pattern in ipairs(patterns) do
      if path:find(pattern) then return true end
   end
   return false
end

-- nil if core's `layer` may include `name`, or why not.
local function core_refuses(layers, layer, name)
   local public = layers.public[name]
   if public then
      if public == "*" or word_set(public)[layer] then return nil end
      return "enters through the front door; only " .. public .. " stands there"
   end
   local from = name:match("^([^/]+)/")
   if not from then return "is not written layer/file.h" end
   if not layers.core[from] then return ("there is no layer '%s'"):format(from) end
   if from == layer then return nil end
   if not word_set(layers.core[layer])[from] then
      return ("%s may not include %s"):format(layer, from)
   end
   return nil
end

local function guest_of(layers, path)
   local best
   for folder in pairs(layers.guests) do
      if path:sub(1, #folder + 1) == folder .. "/" and (not best or #folder > #best) then
         best = folder
      end
   end
   return best
end

local function barred(layers, path, name)
   for _, rule in ipairs(layers.barred) do
      if path:find(rule.under) then
         if rule.headers and word_set(rule.headers)[name] then return rule.why end
         if rule.only and not name:find(rule.only) then return rule.why end
      end
   end
   return nil
end

local includes_rule = { name = "layers", what = "includes go down, as layers.lua says" }
function includes_rule.check(tree, report)
   local layers = tree.data.layers
   for path in tree:each "c" do
      local layer = path:match("^core/([^/]+)/")
      local guest = guest_of(layers, path)
      for number, name, is_system in includes(tree, path) do
         local why
         if not is_system and layer and layer ~= "include" then
            why = layers.core[layer] and core_refuses(layers, layer, name)
               or not layers.core[layer] and ("core/%s is no layer"):format(layer)
               or barred(layers, path, name)
         elseif not is_system and layer == "include" then
            why = not layers.public[name] and "a public header includes public headers alone"
         elseif not is_system and guest and not layers.public[name]
            and not matches(name, layers.guests[guest]) then
            why = guest .. " enters through lynse.h"
         end
         if why then report(path, number, ("%s: %s"):format(name, why)) end
      end
   end
end

local libraries_rule = { name = "libraries", what = "others' headers only in their own files" }
function libraries_rule.check(tree, report)
   local layers = tree.data.layers
   local system = word_set(layers.system)
   for path in tree:each "c" do
      for number, name, is_system in includes(tree, path) do
         if is_system and layers.libraries[name] then
            if not matches(path, layers.libraries[name]) then
               report(path, number, ("<%s> does not belong to this file"):format(name))
            end
         elseif is_system and not system[name] and not layers.public[name] then
            report(path, number, ("<%s> is in neither list of layers.lua"):format(name))
         end
      end
   end
end

-- lynse_layer(name layer…) of core/CMakeLists.txt grants nothing that is not below `name`, and
-- every folder with C in it is a layer.
local cmake_rule = {
   name = "cmake-layers",
   what = "core/CMakeLists.txt grants no layer that layers.lua does not reach",
}
function cmake_rule.check(tree, report)
   local layers, path = tree.data.layers, "core/CMakeLists.txt"
   if not tree:exists(path) then return end
   local text, built = tree:text(path):gsub("#[^\n]*", ""), {}
   for at, arguments in text:gmatch("()lynse_layer%(([^)]*)%)") do
      local number = checkout.line_count(text:sub(1, at)) + 1
      local name, rest = arguments:match("^%s*(%S+)(.*)$")
      built[name] = true
      local granted = layers.core[name] and layers.reach(name)
      if not granted then
         report(path, number, ("'%s' is no layer of layers.lua"):format(name))
      else
         for layer in rest:gmatch("%S+") do
            if not granted[layer] then
               report(path, number, ("%s is given %s"):format(name, layer))
            end
         end
      end
   end
   for file in tree:each("c", "^core/[^/]+/.*%.c$") do
      local layer = file:match("^core/([^/]+)/")
      if not built[layer] then report(file, 1, ("core/%s is not built"):format(layer)) end
   end
end

local requires_rule = { name = "requires", what = "scripts/ sees lynse.* alone" }
function requires_rule.check(tree, report)
   for path in tree:each("lua", "^scripts/") do
      for number, line in checkout.lines(tree:text(path)) do
         local code = line:gsub("%-%-.*$", "")
         local name = code:match("require%s*%(?%s*[\"']([^\"']+)")
         if name and not name:find("^lynse%f[%W]") then
            report(path, number, ("require '%s'"):format(name))
         end
         if code:find("%f[%w_]ffi%f[^%w_]") or code:find("%f[%w_]io%.%w")
            or code:find("os%.execute", 1, true) then
            report(path, number, "ffi, io and os.execute are not for scripts")
         end
      end
   end
end

return { includes_rule, libraries_rule, cmake_rule, requires_rule }
