-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local shapes = require "lynse.shapes"

local function parameter(argument)
   return {
      name = argument[1], type = argument[2], required = argument.required or false,
      default = argument.default, low = argument.low, high = argument.high,
      choices = argument.choices and lynse.array(argument.choices), doc = argument.doc,
   }
end

local function describe(name, method, routes)
   local parameters = lynse.array {}
   for _, argument in ipairs(method.arguments) do
      parameters[#parameters + 1] = parameter(argument)
   end
   return {
      name = name, aliases = lynse.array(method.aliases or {}), doc = method.summary,
      mutates = method.mutates or false, public = method.public or false,
      parameters = parameters, returns = method.returns, routes = lynse.array(routes or {}),
   }
end

-- The routes of each method, by the name that they have it by.
local function routes_of(context)
   local found = {}
   for verb_and_path, route in pairs(context.routes) do
      found[route.method] = found[route.method] or {}
      table.insert(found[route.method], verb_and_path)
   end
   for _, list in pairs(found) do table.sort(list) end
   return found
end

local function sorted_names(methods)
   local names = {}
   for name in pairs(methods) do names[#names + 1] = name end
   table.sort(names)
   return names
end

local made

local function make(context)
   local functions, routes = lynse.array {}, routes_of(context)
   for i, name in ipairs(sorted_names(context.methods)) do
      functions[i] = describe(name, context.methods[name], routes[name])
   end
   return {
      version = context.engine.server_state().version, api_level = context.api_level,
      functions = functions, error_types = context.native.errors, limits = context.limits,
      planned = context.planned,
   }
end

return {
   summary = "Every method: its arguments in their order, its answer, its routes.",
   arguments = {},
   returns = shapes.map {
      version = shapes.text, api_level = shapes.count, limits = shapes.object,
      functions = shapes.documents, error_types = shapes.documents,
      planned = shapes.list(shapes.text),
   },
   run = function(context)
      made = made or make(context)
      return made
   end,
}
