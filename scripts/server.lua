-- SPDX-License-Identifier: Apache-2.0
-- server.lua: what a loop begins with: the engine as methods see it, the methods, the routes.
--
-- The functions of native answer with nil and a failure where they fail.  Here they become
-- functions that raise it: a method is one line after the other, and the failure its answer.
local native = require "lynse.native"

local function answer_or_raise(value, failure, ...)
   if value == nil then error(failure, 0) end
   return value, failure, ...
end

local function raising(call)
   return function(...) return answer_or_raise(call(...)) end
end

local engine = {}
for name, call in pairs(native) do
   if type(call) == "function" then engine[name] = raising(call) end
end

for _, name in ipairs {
   "info", "description", "describe", "build_index", "remove_index", "sync", "flush", "checkpoint",
   "list_fields", "add", "upsert", "delete", "restore", "delete_where", "search", "get", "has",
   "count", "walk",
} do
   native.collection_methods[name] = engine[name]
end

-- What a method gets besides its arguments.
local context = { engine = engine }
local opened, opened_at = {}, 0

-- The open collection that the arguments name.
function context.collection(_, arguments)
   local version = native.catalog_version()
   if version ~= opened_at then
      opened, opened_at = {}, version
   end
   local database, name = arguments.database_name, arguments.collection_name
   local of_database = opened[database]
   local found = of_database and of_database[name]
   if found then return found end
   found = engine.open_collection(database, name)
   if version == native.catalog_version() then
      opened[database] = opened[database] or {}
      opened[database][name] = found
   end
   return found
end

local methods = {}
for _, script in ipairs(native.script_names "rpc.") do
   local method = require(script)
   local name = script:match "^rpc%.(.*)$"
   method.name = name
   methods[name] = method
   native.register_method(name, method)
   for _, alias in ipairs(method.aliases or {}) do native.register_method(alias, method) end
end

local routed = {}
local function route(verb_and_path, spec)
   local verb, path = verb_and_path:match "^(%u+) (/%S*)$"
   spec.verb = verb
   native.register_route(path, spec)
   routed[verb .. " " .. path] = spec
end

for _, script in ipairs(native.script_names "http.") do
   for verb_and_path, spec in pairs(require(script)) do route(verb_and_path, spec) end
end
for name, method in pairs(methods) do
   for _, path in ipairs { name, unpack(method.aliases or {}) } do
      if not routed["POST /" .. path] and not method.rpc_only then
         route("POST /" .. path, { method = path })
      end
   end
end

context.methods, context.routes = methods, routed

return {
   context = context,
   enter = function(run, given) return run(given, native.arguments()) end,
}
