-- SPDX-License-Identifier: Apache-2.0
-- server.lua: what a loop begins with: the engine as methods see it, the methods, the routes.
--
-- The functions of native answer with nil and a failure where they fail.  Here they become
-- functions that raise it: a method is one line after the other, and the failure its answer.
local lynse = require "lynse"
local args = require "lynse.args"
local method_table = require "lynse.method_table"
local native = require "lynse.native"
local own = require "lynse.own"

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
   "count", "walk", "verify", "set_hook", "drop_hook", "list_hooks",
} do
   native.collection_methods[name] = engine[name]
end

-- What a method gets besides its arguments.
--   engine   functions of native that raise; native the same ones that do not
--   array    marks a list, so that an empty one is no map
local context = { engine = engine, native = native, array = lynse.array, api_level = 1 }
context.limits = {
   name_bytes = 128, id_bytes = 255, dim = 32768, batch_rows = 100000, k = 100000,
   batch_queries = 10000, where_bytes = 65536,
}
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

-- Let the kept handle go.
function context.forget(arguments)
   local of_database = opened[arguments.database_name]
   if of_database then of_database[arguments.collection_name] = nil end
end

-- An answer says of which collection it is.
function context.answer(arguments, answer)
   answer.database_name = arguments.database_name
   answer.collection_name = arguments.collection_name
   return answer
end

-- … of a write, and what came of that.
function context.written(arguments, written, answer)
   answer.lsn, answer.row_count, answer.sync = written.lsn, written.row_count, written.sync
   answer.is_repeat = written.is_repeat
   return context.answer(arguments, answer)
end

-- Vectors as rows: a bin without a shape has as many as there are ids, or as the collection's
-- dimension says.
function context.rows(collection, vectors, ids)
   if vectors:dim() > 0 or #vectors == 0 then return vectors end
   return engine.split_vectors(vectors, ids and #vectors / #ids or collection:info().dim)
end

-- The ids, vectors and fields of a binary body.
function context.records(a)
   local start = a.ids_encoding == "range" and a.ids_start or nil
   return engine.raw_records(a.data, a.dim, a.n_vectors, a.vector_encoding, start)
end

-- How hard an index looks: one option, by its names for kinds of indexes; 0: as it was built to.
local function effort_of(a)
   local effort, from
   for _, name in ipairs { "nprobe", "ef", "beam" } do
      local value = a[name]
      if value and value > 0 then
         if effort and value ~= effort then
            engine.refuse("INVALID", ("%s: %d, but %s: %d; they are one option"):format(
               name, value, from, effort))
         end
         effort, from = value, name
      end
   end
   return effort
end

-- As in lynse.h.
local SCORE_MODES = { all = 0, collect = 1, beam = 2 }

-- The arguments of searches as the engine takes them.
function context.search(collection, queries, a)
   if a.vector_field and a.vector_field ~= "default" then
      engine.refuse("UNSUPPORTED", "vector_field: there is no other than 'default' yet")
   end
   if #queries == 0 then engine.refuse("INVALID", "vectors cannot be empty") end
   if a.return_vectors and not a.raw then
      engine.refuse("INVALID", "return_vectors: only with raw; get has the vectors of ids")
   end
   return collection:search(queries, {
      k = a.k, where = a.where, fields = a.return_fields, vectors = a.return_vectors,
      score = a.score, rerank = a.rerank, score_options = a.score_options,
      rerank_options = a.rerank_options, no_hooks = a.no_hooks,
      threshold = a.threshold, max_results = a.max_results,
      effort = effort_of(a), oversample = a.oversample, exact = a.exact,
      score_mode = SCORE_MODES[a.score_mode], eps = a.approx and a.eps or nil,
   })
end

-- Records of where or filter_ids, or all.
function context.find(collection, a, with_fields, with_vectors)
   if a.where or not a.filter_ids then
      return collection:walk(a.where, a.offset, a.limit, with_fields, with_vectors)
   end
   if a.limit or a.offset > 0 then
      engine.refuse("INVALID", "limit, offset: only without filter_ids")
   end
   return collection:get(a.filter_ids, with_fields, with_vectors, true)
end

function context.head(collection, n) return collection:walk(nil, 0, n, true, true) end

-- Rows that are written meanwhile come after these.
function context.tail(collection, n)
   return collection:walk(nil, math.max(0, collection:count() - n), n, true, true)
end

-- Where an operator has limits for collections, writers look at them first.
if native.has_room_limits() then
   for _, name in ipairs { "add", "upsert" } do
      local write = native.collection_methods[name]
      native.collection_methods[name] = function(collection, ids, vectors, ...)
         local info = collection:info()
         engine.check_room(info.live_count, info.dim, vectors)
         return write(collection, ids, vectors, ...)
      end
   end
end

local methods, routed, files = {}, {}, {}

-- file: of its source; a name leads to one alone.
local function claim(name, file, place)
   if files[name] then
      error(("%s: there is a method '%s' already, of %s"):format(place, name, files[name]), 0)
   end
   files[name] = file
end

local function add_method(name, method, file, place)
   method.name = name
   method.arguments[#method.arguments + 1] = args.timeout
   methods[name] = method
   for _, called in ipairs { name, unpack(method.aliases or {}) } do
      claim(called, file, place)
      native.register_method(called, method)
   end
end

local function route(verb_and_path, spec)
   local verb, path = verb_and_path:match "^(%u+) (/%S*)$"
   spec.verb = verb
   native.register_route(path, spec)
   routed[verb .. " " .. path] = spec
end

for _, script in ipairs(native.script_names "rpc.") do
   local name = script:match "^rpc%.(.*)$"
   local file = ("scripts/rpc/%s.lua of the program"):format(name)
   local method = require(script)
   method_table.check(method, file)
   add_method(name, method, file, file)
end

local planned = {}
for _, script in ipairs(native.script_names "http.") do
   for verb_and_path, spec in pairs(require(script)) do
      if type(spec) == "table" then route(verb_and_path, spec)
      else planned[#planned + 1] = spec end
   end
end

for i, entry in ipairs(planned) do
   local verb, name = entry:match "^(%u*) ?(%l%S*)$"
   planned[i] = name
   claim(name, "scripts/http/planned.lua of the program, which is to come", "planned.lua")
   native.register_method(name, {
      arguments = {},
      lenient = true,
      run = function() engine.refuse("UNSUPPORTED", name .. " is not there yet") end,
   })
   verb = verb ~= "" and verb or "POST"
   native.register_route("/" .. name, { verb = verb, method = name, params = "query" })
end

own.add_all(add_method)

-- All but a few methods are POST /<name> with their arguments as the body.
for name, method in pairs(methods) do
   for _, path in ipairs { name, unpack(method.aliases or {}) } do
      if not routed["POST /" .. path] and not method.rpc_only then
         route("POST /" .. path, { method = name })
      end
   end
end

-- What is for this script alone: a request's arguments are read once, as it begins.
local read_arguments = native.arguments
for _, name in ipairs {
   "register_method", "register_route", "script_names", "own_methods", "call_guarded", "is_stopped",
   "arguments",
} do
   native[name], engine[name] = nil, nil
end
context.methods, context.routes, context.planned = methods, routed, lynse.array(planned)

return {
   context = context,
   enter = function(run, given) return run(given, read_arguments()) end,
}
