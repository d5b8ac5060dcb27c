-- SPDX-License-Identifier: Apache-2.0
-- remote_search.lua: searches by the methods of a server, and a rerank of the program over what
-- they find.  A score of the program would need every record: it is for collections that are here.
local native, arrays, remote = ...
local ffi = require "ffi"

local LARGEST = 3.4028234663852886e38 -- of float32; the wire has no infinite thresholds
local COUNT_MAX = 100000
local tools = remote.tools
local call, plain, collection_of, fail = tools.call, tools.plain, tools.collection_of, tools.fail

-- In the server, where the program has a rerank: it takes the place of the collection's own, and
-- the scores are what a rerank sees.
local KEEP_ALL = "function(hits) return hits end"

local function params_of(options)
   local is_function = type(options.rerank) == "function"
   local score_options = options.score_options
   local rerank_options = not is_function and options.rerank_options or nil
   return {
      where = options.where, score = options.score,
      rerank = is_function and KEEP_ALL or options.rerank,
      score_options = score_options and { "document", score_options },
      rerank_options = rerank_options and { "document", rerank_options },
      no_hooks = options.hooks == false, raw = true,
      return_fields = is_function or options.fields or false,
      return_vectors = is_function or options.vectors or false,
      ef = plain(options.ef), nprobe = plain(options.nprobe), beam = plain(options.beam),
      oversample = plain(options.oversample), exact = options.exact,
      score_mode = options.score_mode, approx = options.approx, eps = plain(options.eps),
   }
end

local function copy(from)
   local to = {}
   for key, value in next, from do to[key] = value end
   return to
end

-- One view of one query of several.
local function row_of(vectors, i)
   local view = vectors[1]
   return { ffi.typeof(view)(view.values + i * view.dim, 1, view.dim), vectors }
end

local function search_range(self, options, vectors, params, how)
   local all, plain_all, skipped = {}, {}, 0
   params.threshold = math.max(-LARGEST, math.min(LARGEST, options.range))
   params.max_results = plain(options.max_results)
   how.hits = "result"
   for i = 0, vectors[1].count - 1 do
      local asked = copy(params)
      asked.vector = { "vector", row_of(vectors, i) }
      local found, bits, plain_found = call(self, "search_range", asked, how)
      if not found then return nil, bits end
      all[#all + 1], skipped = found[1], bit.bor(skipped, bits)
      plain_all[#plain_all + 1] = plain_found and plain_found[1]
   end
   return all, skipped, plain_all
end

-- The hits of one query as a function of the program leaves them; `seen` are the same as it sees
-- them.
local function rerank_hits(hits, seen, hooks, options)
   local count = hits.count
   local view, vectors = hooks.view, hits.vectors
   local places, scores = ffi.new("uint32_t[?]", count + 1), ffi.new("float[?]", count + 1)
   view.vectors = ffi.cast("const float *", vectors)
   view.places, view.scores, view.count, view.dim = places, scores, count, hits.dim
   local done, why = xpcall(function() hooks.rerank(count, seen) end, hooks.traceback)
   local kept = view.count
   ffi.fill(view, ffi.sizeof(view))
   if not done then return nil, native.failure("HOOK", "rerank: " .. tostring(why)) end
   local made = copy(hits)
   made.count, made.ids, made.scores, made.fields = kept, {}, {}, options.fields and {} or nil
   local rows, row_bytes = {}, hits.dim * 4
   local raw_numbers = {}
   for i = 1, kept do
      local place = places[i - 1]
      made.ids[i], made.scores[i] = hits.ids[place + 1], scores[i - 1]
      if options.fields then made.fields[i] = hits.fields[place + 1] end
      rows[i] = vectors:sub(place * row_bytes + 1, (place + 1) * row_bytes)
      raw_numbers[i] = hits.numbers and hits.numbers:sub(place * 8 + 1, (place + 1) * 8)
   end
   made.vectors = options.vectors and table.concat(rows) or nil
   made.dim = options.vectors and hits.dim or nil
   made.numbers = hits.numbers and table.concat(raw_numbers) or nil
   return made
end

local function check(options, vectors, hooks)
   local done, err = native.check_search(nil, options, vectors, hooks)
   if not done then return nil, err end
   for _, name in ipairs { "k", "max_results" } do
      local count = plain(options[name])
      if count and count > COUNT_MAX then
         return fail("LIMIT", "%s: %.0f, at most %d", name, count, COUNT_MAX)
      end
   end
   return true
end

-- Has each query its hits, and have they what was asked for?
local function check_found(found, count, params)
   local is_whole = #found == count
   for _, hits in ipairs(found) do
      is_whole = is_whole and hits.scores and (hits.fields or not params.return_fields)
         and (hits.vectors or not params.return_vectors)
   end
   if is_whole then return true end
   return fail("INTERNAL", "an answer that lacks hits, or a part of them")
end

function remote.search(self, options, vectors, hooks)
   collection_of(self)
   local done, err = check(options, vectors, hooks)
   if not done then return nil, err end
   if type(options.score) == "function" then
      return fail("UNSUPPORTED", "score: a function cannot run in a server; give it source text")
   end
   local params = params_of(options)
   local how = {
      hits = "results", numbers = options.numbers, timeout_us = options.timeout_us,
      plain = hooks ~= nil,
   }
   local found, skipped, seen
   if options.range ~= nil then
      found, skipped, seen = search_range(self, options, vectors, params, how)
   else
      params.vectors, params.k = { "vectors", vectors }, plain(options.k)
      found, skipped, seen = call(self, "batch_search", params, how)
   end
   if not found then return nil, skipped end
   done, err = check_found(found, vectors[1].count, params)
   if not done then return nil, err end
   if not hooks then return found, skipped end
   for i, hits in ipairs(found) do
      if hits.count > 0 then
         found[i], err = rerank_hits(hits, seen[i], hooks, options)
         if err then return nil, err end
      end
   end
   return found, skipped
end

--- What the runner of a rerank asks: its hits.
function remote.hook_hits(seen) return seen end

-- A search in steps is done in its first one.
function remote.search_begin(self, options, vectors, hooks)
   local done, err = check(options, vectors, hooks)
   if not done then return nil, err end
   return { self, options, arrays.copy_vectors(vectors), hooks, [0] = collection_of(self) }
end

function remote.search_step(begun, budget_us)
   if not begun or begun.is_over then error("the search is over", 0) end
   if type(budget_us) ~= "number" or not (budget_us >= 0 and budget_us <= 1e12) then
      error("a number of microseconds expected", 2)
   end
   begun.is_over = true
   return remote.search(begun[1], begun[2], begun[3], begun[4])
end

function remote.search_cancel(begun)
   if begun then begun.is_over = true end
end
