-- SPDX-License-Identifier: Apache-2.0
-- The table of score and rerank scenarios (tests/scenarios), as functions and as source texts; a
-- score of a server is always a text.
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()
local json = require "dkjson"

local file = assert(io.open "tests/scenarios/hooks.json")
local table_of = assert(json.decode(file:read "*a"))
file:close()

local function columns(rows)
   local all = { ids = {}, vectors = {}, fields = {} }
   for i, row in ipairs(rows) do
      all.ids[i], all.vectors[i], all.fields[i] = row.id, row.vector, row.fields
   end
   return all
end

local function as_function(source)
   local chunk = source and loadstring("return " .. source)
   return chunk and chunk() or source
end

served.places("a scenario of score and rerank", function(open, place)
   local db, by_metric

   setup(function()
      db, by_metric = assert(open()), {}
      for _, metric in ipairs { "ip", "l2", "cosine" } do
         local docs = assert(db:create { name = metric, dim = table_of.dim, metric = metric })
         assert(docs:add(columns(table_of.sealed)))
         assert(docs:flush())
         assert(docs:add(columns(table_of.tail)))
         assert(docs:upsert(columns(table_of.upserted)))
         assert(docs:delete(table_of.deleted))
         by_metric[metric] = docs
      end
   end)
   teardown(function() db:close() end)

   local function compare(expected, hits)
      assert.are.equal(#expected, hits.count)
      for i, pair in ipairs(expected) do
         assert.are.equal(pair[1], hits.ids[i])
         local allowed = 1e-6 * math.max(1, math.abs(pair[2]))
         assert.is_true(math.abs(pair[2] - hits.scores[i]) <= allowed,
            ("hit %d: %.9g for %.9g"):format(i, hits.scores[i], pair[2]))
      end
   end

   for number, case in ipairs(table_of.scenarios) do
      for _, form in ipairs { "text", "function", "function in steps" } do
         it(("%d answers as expected, by %s"):format(number, form), function()
            local docs = by_metric[case.metric]
            local ask = {
               queries = case.queries, k = case.k, where = case.where, range = case.range,
               score = case.score, rerank = case.rerank, score_options = case.score_options,
               rerank_options = case.rerank_options, hooks = case.hooks,
            }
            if form ~= "text" then
               ask.rerank = as_function(ask.rerank)
               if place == "memory" then ask.score = as_function(ask.score) end
            end
            for _, hook in ipairs(case.installed or {}) do
               assert(docs:set_hook(hook.point, hook.source,
                  { options = hook.options, on_failure = hook.on_failure }))
            end
            finally(function() for point in pairs(docs:hooks()) do docs:drop_hook(point) end end)
            local all, err
            if form == "function in steps" then
               local search
               search, err = docs:begin_search(ask)
               while search and not all and not err do all, err = search:step(1) end
            else
               all, err = docs:search(ask)
            end
            if case.error then
               assert.is_nil(all)
               assert.are.equal(case.error, err.code)
               return
            end
            assert(all, err)
            for i, expected in ipairs(case.expected) do
               compare(expected, all[i])
               assert.are.same(case.skipped, all[i].skipped)
            end
         end)
      end
   end
end)
