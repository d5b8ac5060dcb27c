-- SPDX-License-Identifier: Apache-2.0
-- lynse.lua: the module as a program sees it, over the functions of C beside it (natives.h).
--
-- What is here is what is better said in Lua: names of options, vectors in memory of the FFI, and
-- around the functions of a search what they see.  What can go wrong in a program that is right
-- gives nil and an error; a wrong name of an option, a closed handle and the like are raised.
-- docs/LUA.md describes it all.
local native = ...
local ffi = require "ffi"

setmetatable(native, { __index = function(_, name) error("there is no native." .. name, 2) end })

-- As struct vectors_view of records.h and struct search_view of search.c.
local vectors_view = ffi.typeof "struct { const float *values; double count, dim; }"
local search_view = ffi.typeof [[struct {
   const float *distances;
   float *out;
   const double *columns[32];
   const float *vectors;
   uint32_t *places;
   float *scores;
   double count, dim;
}]]
local float_array = ffi.typeof "float[?]"
local float_pointer = ffi.typeof "const float *"

local VECTOR_BYTES_MAX = 256 * 2 ^ 20 -- of a call, as the library has it
local HOOK_FIELDS = 32
local DIM_MAX = 32768
local PAGE_ROWS = 256
local QUERY_ROWS = 1000

local lynse = {
   version = native.version,
   simd_level = native.simd_level,
   null = native.null,
   integer = native.integer,
   datetime = native.datetime,
   bytes = native.bytes,
   array = native.array,
}

-- By the bits of skipped_hooks.
local HOOK_NAMES = { { "score" }, { "rerank" }, { "score", "rerank" } }

local function names_of(words)
   local set = {}
   for word in words:gmatch "%S+" do set[word] = true end
   return set
end

local OPTIONS = {
   open = names_of [[read_only immutable no_create network_fs poll_may_sync trusted_scripts mode
      sync sync_interval_ms actor_threads search_threads job_threads memory_budget_bytes seed
      low_water_bytes]],
   create = names_of "name dim metric sync sync_interval_ms description",
   rows = names_of "ids vectors fields dim sync timeout_us",
   write = names_of "sync timeout_us",
   delete = names_of "where sync timeout_us",
   search = names_of [[vector queries dim k where range max_results score rerank score_options
      rerank_options hooks fields vectors timeout_us]],
   hook = names_of "options on_failure",
   get = names_of "fields vectors",
   each = names_of "where fields vectors deleted",
   query = names_of "fields vectors limit",
}

-- Raise, at the line of the program, what is wrong about how a function is called.
local function refuse(text, ...) error(text:format(...), 4) end

-- Options of which each has a name that `what` knows.
local function check(what, options, allowed)
   if type(options) ~= "table" then
      refuse("%s: a table of options expected, not a %s", what, type(options))
   end
   for name in pairs(options) do
      if not allowed[name] then refuse("%s: there is no option '%s'", what, tostring(name)) end
   end
   return options
end

local function fail(code, text, ...) return nil, native.failure(code, text:format(...)) end

-- ---- Vectors ----

-- Floats in memory: a pointer, how many (nil: the type does not say), and what keeps them alive.
local function memory_of(values)
   if type(values) == "string" then
      if #values % 4 ~= 0 then
         return fail("INVALID", "vectors: %d bytes are no floats", #values)
      end
      return ffi.cast(float_pointer, values), #values / 4
   end
   if tostring(values):find "^ctype<" then -- the type of itself, and no memory
      return fail("INVALID", "vectors: a type of the FFI, must be floats")
   end
   local element = tostring(ffi.typeof(values)):match "^ctype<(.*)>$" or ""
   local shape = element:gsub("^const ", ""):match "^float (.*)$"
   if shape == "*" then return ffi.cast(float_pointer, values) end
   if shape and (shape:find "^%[" or shape:find "^%(&%)%[") then
      return ffi.cast(float_pointer, values), ffi.sizeof(values) / 4
   end
   return fail("INVALID", "vectors: a %s, must be floats", element)
end

local function copy_numbers(to, at, row, count)
   for i = 1, count do
      local x = row[i]
      if type(x) ~= "number" then
         return fail("INVALID", "vectors: component %d is a %s", i, type(x))
      end
      to[at + i - 1] = x
   end
   return true
end

local function length_of(row)
   if type(row) == "table" then return #row end
   if type(row) ~= "string" and type(row) ~= "cdata" then
      return fail("INVALID", "vectors: a %s, must be a vector", type(row))
   end
   local pointer, count = memory_of(row)
   if not pointer then return nil, count end
   if not count then return fail("INVALID", "vectors: a pointer among rows has no length") end
   return count
end

-- A list of rows, each a table, a text of raw floats, or an array of the FFI: copied into one.
local function join_rows(rows)
   local count = #rows
   local dim, err = length_of(rows[1])
   if not dim then return nil, err end
   if count * dim * 4 > VECTOR_BYTES_MAX then
      return fail("LIMIT", "vectors: %.0f bytes, at most %.0f a call", count * dim * 4,
         VECTOR_BYTES_MAX)
   end
   local all = float_array(math.max(count * dim, 1))
   for i = 1, count do
      local row = rows[i]
      local length, why = length_of(row)
      if not length then return nil, why end
      if length ~= dim then
         return fail("DIMENSION", "vectors: row %d has %d components, row 1 has %d", i, length, dim)
      end
      if type(row) == "table" then
         local done, wrong = copy_numbers(all, (i - 1) * dim, row, dim)
         if not done then return nil, wrong end
      else
         ffi.copy(all + (i - 1) * dim, ffi.cast(float_pointer, row), dim * 4)
      end
   end
   return { vectors_view(all, count, dim), all }
end

-- `values` in one piece: `count` vectors (nil: as many as there are) of `dim` (nil: it follows).
local function view_flat(values, count, dim)
   local pointer, length, kept
   if type(values) == "table" then
      length = #values
      if length * 4 > VECTOR_BYTES_MAX then
         return fail("LIMIT", "vectors: %.0f bytes, at most %.0f a call", length * 4,
            VECTOR_BYTES_MAX)
      end
      kept = float_array(math.max(length, 1))
      local done, wrong = copy_numbers(kept, 0, values, length)
      if not done then return nil, wrong end
      pointer = ffi.cast(float_pointer, kept)
   else
      pointer, length = memory_of(values)
      if not pointer then return nil, length end
   end
   if length and not dim and count and count > 0 then dim = length / count end
   if not dim then return fail("DIMENSION", "vectors: their dimension is not known: give dim") end
   if type(dim) ~= "number" or not (dim >= 1 and dim <= DIM_MAX) or dim % 1 ~= 0 then
      return fail("DIMENSION", "vectors: of dimension %s, must be 1 to %d", tostring(dim), DIM_MAX)
   end
   count = count or (length and length / dim)
   if not count then return fail("INVALID", "vectors: a pointer has no length: give ids") end
   if count % 1 ~= 0 or length and count * dim ~= length then
      return fail("DIMENSION", "vectors: %.0f components, in vectors of %.0f", length, dim)
   end
   if pointer == nil then return fail("INVALID", "vectors: a pointer that is NULL") end
   return { vectors_view(pointer, count, dim), kept or values }
end

-- A view of vectors, in a table with what keeps them alive; nil and an error.  count: how many
-- there have to be; dim: a number, or a function that finds out what it is.
local function view_vectors(values, count, dim)
   local kind = type(values)
   if kind == "table" and #values > 0 and type(values[1]) ~= "number" then
      return join_rows(values)
   end
   if kind ~= "table" and kind ~= "string" and kind ~= "cdata" then
      return fail("INVALID", "vectors: %s", values == nil and "missing" or "a " .. kind)
   end
   if type(dim) == "function" then
      local is_pointer = kind == "cdata" and tostring(ffi.typeof(values)):find("*", 1, true)
      dim = (is_pointer or not count) and dim() or nil
   end
   return view_flat(values, count, dim)
end

-- Vectors of hits: from one text of raw floats to an array each.
local function spread_vectors(hits)
   local raw = hits.vectors
   if not raw then return hits end
   local list, dim = {}, hits.dim
   local at = ffi.cast(float_pointer, raw)
   for i = 1, hits.count do
      list[i] = float_array(dim)
      ffi.copy(list[i], at + (i - 1) * dim, dim * 4)
   end
   hits.vectors = list
   return hits
end

-- ---- Functions of a search ----

-- In a search the names of the fields that a function reads are found by reading them: what it
-- lacks is noted, and the search begins anew.
local function field_table(names, known)
   return setmetatable({}, {
      __index = function(_, name)
         if type(name) ~= "string" or #name < 1 or #name > 255 or name:find("\0", 1, true) then
            error("a field's name is a text of 1 to 255 bytes, without a NUL", 2)
         end
         for i = 1, known do if names[i] == name then return nil end end
         if #names >= HOOK_FIELDS then error("reads more than 32 fields", 2) end
         names[#names + 1] = name
         error("this field is not there yet: do not catch errors here", 2)
      end,
   })
end

local function score_runner(view, score, names, options)
   local known = #names
   local field = field_table(names, known)
   return function(count)
      for i = 1, known do field[names[i]] = view.columns[i - 1] end
      score(count, view.distances, field, view.out, options)
      return #names > known
   end
end

local function rerank_runner(view, rerank, options)
   return function(count, call)
      local found = native.hook_hits(call)
      local hits, places, dim = {}, {}, view.dim
      for i = 1, count do
         local hit = {
            id = found.ids[i], score = found.scores[i], field = found.fields[i],
            vector = view.vectors + (i - 1) * dim,
         }
         hits[i], places[hit] = hit, i - 1
      end
      local answer, kept = rerank(hits, dim, options), 0
      if answer == nil then answer = hits end
      if type(answer) ~= "table" then
         error("the answer is a " .. type(answer) .. " instead of a list of hits", 0)
      end
      for i = 1, #answer do
         local hit = answer[i]
         local place = places[hit]
         if not place then
            error(("entry %d of the answer is none of the hits, or is there twice"):format(i), 0)
         end
         if type(hit.score) ~= "number" then
            error(("entry %d of the answer has a %s for its score"):format(i, type(hit.score)), 0)
         end
         places[hit] = nil
         if hit.score == hit.score then
            view.places[kept], view.scores[kept] = place, hit.score
            kept = kept + 1
         end
      end
      view.count = kept
   end
end

local traceback = debug.traceback
local function explain(raised)
   local text = traceback(tostring(raised), 2) -- no tail call, which would hide a level
   return text
end

-- Names of fields that a function has read in an earlier search.
local names_read = setmetatable({}, { __mode = "k" })

local function search_with_functions(collection, options, vectors)
   local score, rerank = options.score, options.rerank
   local names = {}
   for i, name in ipairs(names_read[score] or {}) do names[i] = name end
   while true do
      local view, known = search_view(), #names
      local hooks = { view = view, traceback = explain, names = { unpack(names) } }
      if type(score) == "function" then
         hooks.score = score_runner(view, score, names, options.score_options or {})
      end
      if type(rerank) == "function" then
         hooks.rerank = rerank_runner(view, rerank, options.rerank_options or {})
      end
      local found, err = native.search(collection, options, vectors, hooks)
      if found or #names == known then
         if found and known > 0 then names_read[score] = names end
         return found, err
      end
   end
end

-- Is this member of the options a function of the program?
local function check_hook(options, name)
   local kind = type(options[name])
   if kind ~= "nil" and kind ~= "function" and kind ~= "string" then
      refuse("search: %s is a %s, must be a function or a source text", name, kind)
   end
   return kind == "function"
end

local function check_target(options)
   if (options.queries ~= nil) == (options.vector ~= nil) then
      refuse("search: give either vector or queries")
   end
end

-- ---- Collections ----

local collection = {}

local function dim_of(self)
   return function()
      local info = native.info(self)
      return info and info.dim > 0 and info.dim or nil
   end
end

local function write(call, self, rows)
   local count = type(rows.ids) == "table" and #rows.ids or nil
   local vectors, err = view_vectors(rows.vectors, count, rows.dim or dim_of(self))
   if not vectors then return nil, err end
   return call(self, rows, vectors)
end

--- docs:add{ids =, vectors =, fields =, dim =, sync =, timeout_us =} → {lsn, count, sync, first_id}
function collection:add(rows) return write(native.add, self, check("add", rows, OPTIONS.rows)) end

function collection:upsert(rows)
   return write(native.upsert, self, check("upsert", rows, OPTIONS.rows))
end

local function list_of(ids)
   if type(ids) == "table" then return ids end
   return { ids }
end

--- docs:delete(ids [, {sync =, timeout_us =}]), docs:delete{where =, …} → {lsn, count, sync}
function collection:delete(ids, options)
   if type(ids) == "table" and ids.where ~= nil then
      check("delete", ids, OPTIONS.delete)
      return native.delete_where(self, ids.where, ids)
   end
   return native.delete_ids(self, list_of(ids), check("delete", options or {}, OPTIONS.write))
end

function collection:restore(ids, options)
   return native.restore(self, list_of(ids), check("restore", options or {}, OPTIONS.write))
end

local function with_fields(options, where)
   local fields = options.fields
   if fields == nil then fields = true end
   return {
      where = where or options.where, fields = fields, vectors = options.vectors,
      deleted = options.deleted,
   }
end

--- docs:get(ids [, {fields = true, vectors =}]) → hits
function collection:get(ids, options)
   check("get", options or {}, OPTIONS.get)
   local hits, err = native.get(self, list_of(ids), with_fields(options or {}))
   if not hits then return nil, err end
   return spread_vectors(hits)
end

--- docs:search{vector = | queries =, k =, where =, range =, max_results =, score =, rerank =,
--- score_options =, rerank_options =, hooks = true, fields =, vectors =, dim =, timeout_us =}
--- → hits; a list of them for queries
function collection:search(options)
   check("search", options, OPTIONS.search)
   check_target(options)
   local is_batch = options.queries ~= nil
   local has_score, has_rerank = check_hook(options, "score"), check_hook(options, "rerank")
   local vectors, err = view_vectors(is_batch and options.queries or options.vector,
      not is_batch and 1 or nil, options.dim or dim_of(self))
   if not vectors then return nil, err end
   local ask = (has_score or has_rerank) and search_with_functions or native.search
   local found, skipped = ask(self, options, vectors)
   if not found then return nil, skipped end
   for _, hits in ipairs(found) do
      spread_vectors(hits)
      if skipped ~= 0 then hits.skipped = HOOK_NAMES[skipped] end
   end
   return is_batch and found or found[1]
end

--- for id, fields, vector in docs:each{where =, fields = true, vectors =, deleted =} do
--- Errors are raised.
function collection:each(options)
   if type(options) == "string" then options = { where = options } end
   check("each", options or {}, OPTIONS.each)
   local scan, err = native.scan(self, with_fields(options or {}))
   if not scan then error(err, 2) end
   local page, at = { count = 0 }, 0
   return function()
      if at == page.count then
         if not scan then return nil end
         page, err = native.scan_next(scan, PAGE_ROWS)
         if not page then error(err, 2) end
         at = 0
         if page.count == 0 then
            scan = nil
            return nil
         end
         spread_vectors(page)
      end
      at = at + 1
      return page.ids[at], page.fields and page.fields[at], page.vectors and page.vectors[at]
   end
end

local function append(to, page)
   for i = 1, page.count do
      local n = to.count + i
      to.ids[n] = page.ids[i]
      if page.fields then to.fields[n] = page.fields[i] end
      if page.vectors then to.vectors[n] = page.vectors[i] end
   end
   to.count, to.as_of_lsn, to.dim = to.count + page.count, page.as_of_lsn, page.dim
end

--- docs:query(where [, {fields = true, vectors =, limit = 1000}]) → hits, in the order of writing
function collection:query(where, options)
   options = check("query", options or {}, OPTIONS.query)
   local limit = options.limit or QUERY_ROWS
   if type(limit) ~= "number" or limit % 1 ~= 0 or limit < 1 or limit > 100000 then
      return fail("LIMIT", "limit: %s, must be 1 to 100000", tostring(limit))
   end
   local wanted = with_fields(options, where)
   local scan, err = native.scan(self, wanted)
   if not scan then return nil, err end
   local hits = { count = 0, ids = {} }
   hits.fields, hits.vectors = wanted.fields and {} or nil, wanted.vectors and {} or nil
   while hits.count < limit do
      local page
      page, err = native.scan_next(scan, math.min(PAGE_ROWS, limit - hits.count))
      if not page then return nil, err end
      if page.count == 0 then return hits end
      append(hits, spread_vectors(page))
   end
   native.scan_end(scan)
   return hits
end

--- docs:set_sync(level [, sync_interval_ms])
function collection:set_sync(level, sync_interval_ms)
   return native.set_sync(self, { sync = level, sync_interval_ms = sync_interval_ms })
end

--- docs:set_hook(point, source [, {options =, on_failure = "fail"}]) → its version
function collection:set_hook(point, source, options)
   return native.set_hook(self, point, source, check("set_hook", options or {}, OPTIONS.hook))
end

function collection:description()
   local list, err = native.description(self)
   if not list then return nil, err end
   return list[1]
end

collection.info = native.info
collection.drop_hook = native.drop_hook
collection.hooks = native.hooks
collection.close = native.close_collection
collection.exists = native.exists
collection.count = native.count
collection.describe = native.describe
collection.list_fields = native.list_fields
collection.flush = native.flush
collection.checkpoint = native.checkpoint
collection.sync = native.sync_collection
collection.build_index = native.build_index
collection.remove_index = native.remove_index

-- ---- Roots ----

local root = {}

local function named(desc) return type(desc) == "string" and { name = desc } or desc end

--- db:create{name =, dim =, metric =, sync =, sync_interval_ms =, description =} → docs
function root:create(desc)
   return native.create_collection(self, check("create", named(desc), OPTIONS.create))
end

function root:require(desc)
   return native.require_collection(self, check("require", named(desc), OPTIONS.create))
end

--- db:list([database]) → names of collections
function root:list(database) return native.list_collections(self, database or "default") end

root.close = native.close_root
root.collection = native.open_collection
root.drop = native.drop_collection
root.exists = native.collection_exists
root.databases = native.list_databases
root.create_database = native.create_database
root.drop_database = native.drop_database
root.sync = native.sync_root
root.refresh = native.refresh_root
root.poll = native.poll
root.memory_bytes = native.memory_bytes

native.metatable "root".__index = root
native.metatable "collection".__index = collection

--- lynse.open(path [, options]) → db
function lynse.open(path, options)
   return native.open(path, check("open", options or {}, OPTIONS.open))
end

lynse.poll = native.poll

return lynse
