-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local ffi = require "ffi"

describe("a search in steps", function()
   local db, docs
   local COUNT = 20000

   setup(function()
      db = assert(lynse.open(":memory:", { mode = "inline" }))
      docs = assert(db:create { name = "docs", dim = 8, metric = "l2" })
      local vectors, fields = ffi.new("float[?]", COUNT * 8), {}
      for i = 1, COUNT do
         for j = 0, 7 do vectors[(i - 1) * 8 + j] = i end
         fields[i] = { n = i, half = i / 2 }
      end
      assert(docs:add { vectors = vectors, fields = fields })
   end)
   teardown(function() db:close() end)

   local query = { 7, 7, 7, 7, 7, 7, 7, 7 }
   local function finish(search, budget)
      local steps = 0
      while true do
         local hits, err = search:step(budget or 1)
         steps = steps + 1
         if hits or err then return hits, steps, err end
      end
   end

   it("answers as the search in one call", function()
      for _, options in ipairs {
         { vector = query, k = 5, fields = true, vectors = true, numbers = true },
         { vector = query, k = 5, where = "n > 100" }, { vector = query, range = 32 },
         { vector = query, k = 3, rerank = "mmr" },
         { vector = query, k = 3, score = [[function(n, d, f, out)
            for i = 0, n - 1 do out[i] = -f.n[i] end end]] },
         { queries = { query, query }, k = 2 },
      } do
         local hits, steps = finish(assert(docs:begin_search(options)))
         local expected = assert(docs:search(options))
         assert.is_true(steps > 1)
         if options.queries then
            assert.are.equal(2, #hits)
            hits, expected = hits[2], expected[2]
         end
         assert.are.same(expected.ids, hits.ids)
         assert.are.same(expected.scores, hits.scores)
         assert.are.same(expected.fields, hits.fields)
         assert.are.equal(expected.vectors and 8, hits.vectors and ffi.sizeof(hits.vectors[1]) / 4)
      end
   end)

   it("gives page after page, each record once", function()
      local function score(n, distance, field, out)
         for i = 0, n - 1 do out[i] = distance[i] + field.n[i] end
      end
      for _, options in ipairs {
         { vector = query, k = 1000, where = "n < 50" },
         { vector = query, k = 1000, where = "n < 50", score = score },
         { vector = query, k = 1000, where = "n < 50", score = score, score_mode = "collect" },
      } do
         local expected, ids, k = assert(docs:search(options)), {}, 5
         options.k, options.pages = k, true
         local search = assert(docs:begin_search(options))
         repeat
            local hits = assert(finish(search))
            for _, id in ipairs(hits.ids) do ids[#ids + 1] = id end
            local is_last = hits.count < k
            k = k + 1
            assert.is_true(search:next(k))
         until is_last
         assert.are.same(expected.ids, ids)
         local refused, err = search:next(99999)
         assert.is_nil(refused)
         assert.are.equal("INVALID", err.code) -- its steps are not done
         search:cancel()
      end
   end)

   it("runs functions of the program, and finds the fields that they read", function()
      local seen = 0
      local function score(n, distance, field, out)
         for i = 0, n - 1 do out[i] = distance[i] * 0 - field.n[i] end
         if distance[0] > 0 then seen = seen + field.half[0] * 0 + 1 end
      end
      local function rerank(hits)
         local order = {}
         for i = #hits, 1, -1 do order[#order + 1] = hits[i] end
         return order
      end
      local options = { vector = query, k = 3, score = score, rerank = rerank, fields = true }
      local hits, steps = finish(assert(docs:begin_search(options)))
      assert.is_true(steps > 2 and seen > 1)
      assert.are.same({ COUNT - 3, COUNT - 2, COUNT - 1 }, hits.ids)
      assert.are.same({ 2 - COUNT, 1 - COUNT, -COUNT }, hits.scores)
      assert.are.equal(COUNT - 2, hits.fields[1].n)
   end)

   it("gives options to texts and to functions", function()
      local text = "function(n, _, f, out, o) for i = 0, n - 1 do out[i] = o.sign * f.n[i] end end"
      local ask = { vector = query, k = 3, score_options = { sign = -1 },
         rerank_options = { field = "half", weight = -4 }, rerank = "boost" }
      for _, score in ipairs { text, (assert(loadstring("return " .. text))()) } do
         ask.score = score
         local hits = finish(assert(docs:begin_search(ask)))
         assert.are.same({ COUNT - 3, COUNT - 2, COUNT - 1 }, hits.ids)
         assert.is_nil(hits.skipped)
      end
      local given = {}
      ask.rerank_options, ask.rerank = given, function(_, _, options) options.seen = true end
      finish(assert(docs:begin_search(ask)))
      assert.is_true(given.seen)
      for _, wrong in ipairs { { rerank_options = 5 }, { rerank_options = { f = print } } } do
         local none, err = docs:begin_search { vector = query, rerank = "mmr",
            rerank_options = wrong.rerank_options }
         assert.is_nil(none)
         assert.are.equal("INVALID", err.code)
         assert.is_truthy(err.text:find("rerank_options", 1, true))
      end
      local own = { vector = query, k = 2, rerank = "boost", rerank_options = { field = "n" } }
      local hits = assert(docs:search(own))
      local search = assert(docs:begin_search(own))
      own.rerank_options.field = 5 -- it has its own copy of what it began with
      for _ = 1, 100 do own.rerank_options = { field = ("x"):rep(100) } end
      collectgarbage()
      assert.are.same(hits.scores, (finish(search)).scores)
   end)

   it("takes the hooks of the collection, or not, and says which it skipped", function()
      local kept = assert(db:create { name = "kept", dim = 1, metric = "l2" })
      assert(kept:add { vectors = { 1, 2, 3 } })
      assert(kept:set_hook("score",
         "function(n, d, _, out, o) for i = 0, n - 1 do out[i] = o.sign * d[i] end end",
         { options = { sign = -1 } }))
      assert(kept:set_hook("rerank", "mmr", { options = { lambda = 7 }, on_failure = "skip" }))
      local hits = finish(assert(kept:begin_search { vector = { 0 } }))
      assert.are.same({ 2, 1, 0 }, hits.ids)
      assert.are.same({ "rerank" }, hits.skipped)
      hits = finish(assert(kept:begin_search { queries = { { 0 }, { 1 } }, k = 1 }))
      assert.are.same({ "rerank" }, hits[2].skipped)
      hits = finish(assert(kept:begin_search { vector = { 0 }, hooks = false }))
      assert.are.same({ 0, 1, 2 }, hits.ids)
      assert.is_nil(hits.skipped)
      hits = finish(assert(kept:begin_search { vector = { 0 }, score = function() end }))
      assert.are.same({ 0, 1, 2 }, hits.ids)
      local search = assert(kept:begin_search { vector = { 0 } })
      assert(kept:drop_hook "score") -- the search runs the version of its begin
      assert.are.same({ 2, 1, 0 }, (finish(search)).ids)
      assert(db:drop "kept")
   end)

   it("goes on in another coroutine, and beside others", function()
      local function begin()
         return assert(docs:begin_search { vector = query, k = 1, score = function(n, d, _, out)
            for i = 0, n - 1 do out[i] = -d[i] end
         end })
      end
      local searches, found = { begin(), begin(), begin() }, 0
      while found < 3 do
         for i = 1, 3 do
            local hits = searches[i] and coroutine.wrap(function() return searches[i]:step(1) end)()
            if hits then
               assert.are.same({ COUNT - 1 }, hits.ids)
               searches[i], found = nil, found + 1
            end
         end
      end
   end)

   it("reads the vectors that it began with", function()
      local vector = ffi.new("float[8]", 7)
      local search = assert(docs:begin_search { vector = vector, k = 1, score = function(n, _, f)
         return f.n[n - 1]
      end })
      for i = 0, 7 do vector[i] = 0 / 0 end
      assert.are.same({ 6 }, (finish(search)).ids)
   end)

   it("is over once, by its end, an error or a cancel", function()
      local search = assert(docs:begin_search { vector = query })
      finish(search)
      assert.has_error(function() search:step(1) end)
      search:cancel()
      search = assert(docs:begin_search { vector = query })
      assert.is_nil(search:step(1))
      search:cancel()
      search:cancel()
      assert.has_error(function() search:step(1) end)
      search = assert(docs:begin_search { vector = query, score = function() error "mine" end })
      local hits, _, err = finish(search)
      assert.is_nil(hits)
      assert.are.equal("HOOK", err.code)
      assert.is_truthy(err.text:find("mine", 1, true), err.text)
      assert.has_error(function() search:step(1) end)
      for _, wrong in ipairs { { { vector = { 1 } }, "DIMENSION" },
         { { vector = query, where = "n >" }, "PARSE" },
         { { vector = query, rerank = "nonesuch" }, "NOT_FOUND" } } do
         local none, why = docs:begin_search(wrong[1])
         assert.is_nil(none)
         assert.are.equal(wrong[2], why.code)
      end
      search = assert(docs:begin_search { vector = query })
      assert.has_error(function() search:step() end)
      assert.has_error(function() search:step(-1) end)
      assert.has_error(function() search:step "now" end)
      assert.has_error(function() docs:begin_search { vector = query, budget = 1 } end)
      local late = assert(docs:begin_search { vector = query, timeout_us = 1 })
      assert.are.equal("DEADLINE", select(3, finish(late)).code)
   end)

   it("cannot be stepped, cancelled or closed in a step of its own", function()
      local told = {}
      local search
      search = assert(docs:begin_search { vector = query, k = 1, score = function()
         for _, call in ipairs { function() search:step(1) end, function() search:cancel() end,
            function() db:close() end } do
            told[#told + 1] = select(2, pcall(call))
         end
      end })
      assert.are.equal(1, finish(search).count)
      assert.is_truthy(told[1]:find("middle of a step", 1, true))
      assert.is_truthy(told[2]:find("middle of a step", 1, true))
      assert.is_truthy(told[3]:find("cannot be closed", 1, true))
      local mine = assert(db:create { name = "mine", dim = 1, metric = "l2" })
      assert(mine:add { vectors = { 1, 2 } })
      local own = assert(mine:begin_search { vector = { 0 }, score = function()
         mine:close()
         assert(db:drop "mine")
         collectgarbage()
      end })
      assert.are.same({ 0, 1 }, finish(own).ids)
   end)

   it("may be forgotten, and ends with its database", function()
      for _ = 1, 50 do
         local forgotten = assert(docs:begin_search { vector = query, score = function() end })
         forgotten:step(1)
      end
      collectgarbage()
      collectgarbage()
      local root = assert(lynse.open ":memory:")
      local mine = assert(root:create { name = "mine", dim = 1 })
      assert(mine:add { vectors = { 1, 2 } })
      local search = assert(mine:begin_search { vector = { 1 } })
      assert.is_true(root:close())
      assert.has_error(function() search:step(1) end)
      search:cancel()
      search = nil -- luacheck: ignore 311
      collectgarbage()
   end)
end)
