-- SPDX-License-Identifier: Apache-2.0
-- classes.lua: databases and collections as a program sees them, over the functions of natives.h or
-- those of remote.lua, which have the same names.
--
-- What is here is what is better said in Lua: names of options, and what the functions of a search
-- see.  What can go wrong in a program that is right gives nil and an error; a wrong name of an
-- option, a closed handle and the like are raised.  docs/LUA.md describes it all.
local native, arrays = ...
local ffi = require "ffi"

-- As struct search_view of search_call.h.
local search_view = ffi.typeof [[struct {
   const float *distances;
   float *out;
   const double *columns[32];
   const float *vectors;
   uint32_t *places;
   float *scores;
   double count, dim;
}]]

local HOOK_FIELDS = 32
local PAGE_ROWS = 256
local QUERY_ROWS = 1000

-- By the bits of skipped_hooks.
local HOOK_NAMES = { { "score" }, { "rerank" }, { "score", "rerank" } }

local function names_of(words)
   local set = {}
   for word in words:gmatch "%S+" do set[word] = true end
   return set
end

local OPTIONS = {
   create = names_of "name dim metric storage sync sync_interval_ms description",
   rows = names_of "ids count vectors fields dim sync timeout_us request_id wait",
   write = names_of "count sync timeout_us request_id wait",
   delete = names_of "where sync timeout_us request_id",
   search = names_of [[vector queries dim k where range max_results score rerank score_options
      rerank_options hooks fields vectors numbers timeout_us ef nprobe beam oversample exact
      score_mode approx eps pages]],
   hook = names_of "options on_failure",
   get = names_of "count fields vectors numbers",
   each = names_of "where fields vectors deleted",
   query = names_of "fields vectors limit",
}

-- Raise, at the line of the program, what is wrong about how a function is called.
local function refuse(text, ...) error(text:format(...), 4) end

-- A copy of options of which each has a name that `what` knows: the texts in it stay, whatever runs
-- until the call is over.
local function check(what, options, allowed)
   if type(options) ~= "table" then
      refuse("%s: a table of options expected, not a %s", what, type(options))
   end
   local copy = {}
   for name, value in next, options do
      if not allowed[name] then refuse("%s: there is no option '%s'", what, tostring(name)) end
      copy[name] = value
   end
   return copy
end

local function fail(code, text, ...) return nil, native.failure(code, text:format(...)) end

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

-- What a search calls: runners for the functions of the options, and the view that they share.
local function make_hooks(options, names)
   local view = search_view()
   local hooks = { view = view, traceback = explain, names = { unpack(names) } }
   if type(options.score) == "function" then
      hooks.score = score_runner(view, options.score, names, options.score_options or {})
   end
   if type(options.rerank) == "function" then
      hooks.rerank = rerank_runner(view, options.rerank, options.rerank_options or {})
   end
   return hooks
end

local function known_names(score)
   local names = {}
   for i, name in ipairs(names_read[score] or {}) do names[i] = name end
   return names
end

local function search_with_functions(collection, options, vectors)
   local names = known_names(options.score)
   while true do
      local known = #names
      local hooks = make_hooks(options, names)
      local found, err = native.search(collection, options, vectors, hooks)
      if found or #names == known then
         if found and known > 0 then names_read[options.score] = names end
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

-- Hits as a program gets them; skipped: bits of the hooks that were.
local function answer_of(found, skipped, is_batch)
   for _, hits in ipairs(found) do
      arrays.spread(hits)
      if skipped ~= 0 then hits.skipped = { unpack(HOOK_NAMES[skipped]) } end
   end
   return is_batch and found or found[1]
end

-- ---- Searches in steps ----

local stepped = {}
stepped.__index = stepped

local function begin_anew(self)
   self.hooks = self.has_functions and make_hooks(self.options, self.names) or nil
   local call, err = native.search_begin(self.collection, self.options, self.vectors, self.hooks)
   self.call = call
   return call, err
end

--- s:step(budget_us) → nil: there is more to do; else hits, or nil and an error, and it is over
function stepped:step(budget_us)
   local known = #self.names
   local found, skipped = native.search_step(self.call, budget_us)
   if found == false then return nil end
   if found then
      if known > 0 then names_read[self.options.score] = self.names end
      self.has_page = true
      return answer_of(found, skipped, self.is_batch)
   end
   if #self.names == known or self.has_page then return nil, skipped end
   local call, why = begin_anew(self) -- score has read a field that was not there
   if not call then
      self.call = nil
      return nil, why
   end
   return nil
end

--- s:next(k) → true: steps give the next k hits of a search with pages; nil and an error
function stepped:next(k) return native.search_next(self.call, k) end

--- s:cancel() ends it; of one that is over it does nothing
function stepped:cancel() return native.search_cancel(self.call) end

-- ---- Collections ----

local collection = {}

local function dim_of(self)
   return function()
      local info = native.info(self)
      return info and info.dim > 0 and info.dim or nil
   end
end

local function check_wait(options)
   if options.wait ~= nil and type(options.wait) ~= "boolean" then
      refuse("wait: a %s, must be true or false", type(options.wait))
   end
   options.is_ticket = options.wait == false
   return options
end

local function write(call, self, rows)
   local ids, count
   if rows.ids ~= nil or rows.count ~= nil then
      ids, count = arrays.view_ids(rows.ids, rows.count)
      if not ids then return nil, count end
   end
   local vectors, err = arrays.view_vectors(rows.vectors, count, rows.dim or dim_of(self))
   if not vectors then return nil, err end
   return call(self, rows, vectors, ids)
end

--- docs:add{ids =, count =, vectors =, fields =, dim =, sync =, timeout_us =, request_id =,
--- wait = true} → {lsn, count, sync, first_id, is_repeat}; with wait = false a ticket
function collection:add(rows)
   return write(native.add, self, check_wait(check("add", rows, OPTIONS.rows)))
end

function collection:upsert(rows)
   return write(native.upsert, self, check_wait(check("upsert", rows, OPTIONS.rows)))
end

local function write_ids(call, self, ids, options)
   local view, err = arrays.view_ids(ids, options.count)
   if not view then return nil, err end
   return call(self, view, options)
end

--- docs:delete(ids [, {count =, sync =, timeout_us =, wait = true}]), docs:delete{where =, …}
--- → {lsn, count, sync}; a ticket
function collection:delete(ids, options)
   if type(ids) == "table" and ids.where ~= nil then
      local wanted = check("delete", ids, OPTIONS.delete)
      return native.delete_where(self, wanted.where, wanted)
   end
   options = check_wait(check("delete", options or {}, OPTIONS.write))
   return write_ids(native.delete_ids, self, ids, options)
end

function collection:restore(ids, options)
   options = check_wait(check("restore", options or {}, OPTIONS.write))
   return write_ids(native.restore, self, ids, options)
end

local function with_fields(options, where)
   local fields = options.fields
   if fields == nil then fields = true end
   return {
      where = where or options.where, fields = fields, vectors = options.vectors,
      numbers = options.numbers, deleted = options.deleted,
   }
end

--- docs:get(ids [, {fields = true, vectors =, numbers =, count =}]) → hits
function collection:get(ids, options)
   options = check("get", options or {}, OPTIONS.get)
   local view, err = arrays.view_ids(ids, options.count)
   if not view then return nil, err end
   local hits
   hits, err = native.get(self, view, with_fields(options))
   if not hits then return nil, err end
   return arrays.spread(hits)
end

-- The vectors of a search; nil and an error.
local function target_of(self, options)
   local one = options.vector
   local vectors, err = arrays.view_vectors(one == nil and options.queries or one,
      one ~= nil and 1 or nil, options.dim or dim_of(self))
   if not vectors then return nil, err end
   if one ~= nil and vectors[1].count ~= 1 then
      return fail("INVALID", "vector: %.0f rows, must be one; queries takes several",
         vectors[1].count)
   end
   return vectors
end

--- docs:search{vector = | queries =, k =, where =, range =, max_results =, score =, rerank =,
--- score_options =, rerank_options =, hooks = true, fields =, vectors =, numbers =, dim =,
--- timeout_us =} → hits; a list of them for queries
function collection:search(options)
   options = check("search", options, OPTIONS.search)
   check_target(options)
   local has_score, has_rerank = check_hook(options, "score"), check_hook(options, "rerank")
   local vectors, err = target_of(self, options)
   if not vectors then return nil, err end
   local ask = (has_score or has_rerank) and search_with_functions or native.search
   local found, skipped = ask(self, options, vectors)
   if not found then return nil, skipped end
   return answer_of(found, skipped, options.queries ~= nil)
end

--- docs:begin_search{as search} → a search that s:step(budget_us) carries on
function collection:begin_search(options)
   options = check("begin_search", options, OPTIONS.search)
   check_target(options)
   local has_score, has_rerank = check_hook(options, "score"), check_hook(options, "rerank")
   local vectors, err = target_of(self, options)
   if not vectors then return nil, err end
   local begun = setmetatable({
      collection = self, options = options, names = known_names(options.score),
      -- It may begin anew.
      vectors = has_score and arrays.copy_vectors(vectors) or vectors,
      has_functions = has_score or has_rerank, is_batch = options.queries ~= nil,
   }, stepped)
   local call
   call, err = begin_anew(begun)
   if not call then return nil, err end
   return begun
end

--- for id, fields, vector in docs:each{where =, fields = true, vectors =, deleted =} do
--- Errors are raised.
function collection:each(options)
   if type(options) == "string" then options = { where = options } end
   options = check("each", options or {}, OPTIONS.each)
   local scan, err = native.scan(self, with_fields(options))
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
         arrays.spread(page)
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
   wanted.limit = limit
   local scan, err = native.scan(self, wanted)
   if not scan then return nil, err end
   local hits = { count = 0, ids = {} }
   hits.fields, hits.vectors = wanted.fields and {} or nil, wanted.vectors and {} or nil
   while hits.count < limit do
      local page
      page, err = native.scan_next(scan, math.min(PAGE_ROWS, limit - hits.count))
      if not page then return nil, err end
      if page.count == 0 then return hits end
      append(hits, arrays.spread(page))
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
collection.verify = native.verify
collection.flush = native.flush
collection.checkpoint = native.checkpoint
collection.sync = native.sync_collection
collection.build_index = native.build_index
collection.remove_index = native.remove_index

-- ---- Roots ----

local root = {}

local function named(desc) return type(desc) == "string" and { name = desc } or desc end

--- db:create{name =, dim =, metric =, storage =, sync =, sync_interval_ms =, description =} → docs
function root:create(desc)
   return native.create_collection(self, check("create", named(desc), OPTIONS.create))
end

function root:require(desc)
   return native.require_collection(self, check("require", named(desc), OPTIONS.create))
end

--- db:list([database]) → names of collections
function root:list(database) return native.list_collections(self, database) end

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
native.metatable "ticket".__index = { wait = native.ticket_wait, poll = native.ticket_poll }
