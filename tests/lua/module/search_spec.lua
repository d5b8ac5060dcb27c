-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()
local ffi = require "ffi"

served.places("a search", function(open, place)
   local db, docs
   local COUNT = 3000

   setup(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 2, metric = "l2" })
      local rows = { ids = {}, vectors = {}, fields = {} }
      for i = 1, COUNT do
         rows.ids[i], rows.vectors[i] = i, { i, 0 }
         rows.fields[i] = { n = i, half = i / 2, owner = { age = COUNT - i } }
      end
      rows.fields[5] = { other = true }
      assert(docs:add(rows))
   end)
   teardown(function() db:close() end)

   it("answers with columns", function()
      local hits = docs:search { vector = { 10, 0 }, k = 3, fields = true, vectors = true }
      assert.are.equal(3, hits.count)
      assert.are.same({ 10, 9, 11 }, hits.ids)
      assert.are.same({ 0, 1, 1 }, hits.scores)
      assert.are.equal(9, hits.fields[2].n)
      assert.are.equal(2, hits.dim)
      assert.are.equal(11, hits.vectors[3][0])
      local bare = docs:search { vector = ffi.new("float[2]", { 10, 0 }) }
      assert.are.equal(10, bare.count)
      assert.is_nil(bare.fields)
      assert.is_nil(bare.vectors)
   end)

   it("asks several at once, in any form of vectors", function()
      local flat = ffi.new("float[4]", { 10, 0, 20, 0 })
      for _, queries in ipairs { { { 10, 0 }, { 20, 0 } }, flat, ffi.string(flat, 16) } do
         local all = assert(docs:search { queries = queries, k = 2, vectors = true })
         assert.are.equal(2, #all)
         assert.are.same({ 10, 9 }, all[1].ids)
         assert.are.same({ 20, 19 }, all[2].ids)
         assert.are.equal(19, all[2].vectors[2][0])
      end
      local one = docs:search { vector = ffi.cast("float *", flat), k = 1 }
      assert.are.same({ 10 }, one.ids)
   end)

   it("keeps to where and range", function()
      local hits = docs:search { vector = { 0, 0 }, k = 3, where = "n > 100 AND n < 1000" }
      assert.are.same({ 101, 102, 103 }, hits.ids)
      hits = docs:search { vector = { 50, 0 }, range = 4 }
      assert.are.same({ 50, 49, 51, 48, 52 }, hits.ids)
      hits = docs:search { vector = { 50, 0 }, range = 4, max_results = 2 }
      assert.are.equal(2, hits.count)
   end)

   it("takes source text for the engine's own states", function()
      local far = "function(n, d, field, out) for i = 0, n - 1 do out[i] = -d[i] end end"
      local hits = assert(docs:search { vector = { 50, 0 }, k = 2, score = far, where = "n < 49" })
      assert.are.same({ 1, 2 }, hits.ids)
      hits = assert(docs:search { vector = { 50, 0 }, k = 5, rerank = "mmr" })
      assert.are.equal(5, hits.count)
   end)

   -- A server runs source texts, no functions of ours.
   local where_functions_run = place == "memory" and describe or function() end

   it("hands options to hooks, whether texts or functions", function()
      local text = "function(n, d, _, out, o) for i = 0, n - 1 do out[i] = o.sign * d[i] end end"
      local ask = { vector = { 50, 0 }, k = 2, score = text, score_options = { sign = -1 } }
      local far = assert(docs:search(ask)).ids
      assert.are.same({ COUNT, COUNT - 1 }, far)
      if place == "memory" then ask.score = assert(loadstring("return " .. text))() end
      assert.are.same(far, assert(docs:search(ask)).ids)
      local hits = assert(docs:search { vector = { 50, 0 }, k = 3, rerank = "boost",
         rerank_options = { field = "n", weight = 100 } })
      assert.are.same({ 51, 50, 49 }, hits.ids)
      local seen
      assert(docs:search { vector = { 1, 0 }, rerank_options = { x = 1 },
         rerank = function(_, _, options) seen = options.x end })
      assert.are.equal(1, seen)
      for _, wrong in ipairs { 5, { f = print } } do
         local none, err = docs:search { vector = { 1, 0 }, rerank = "mmr", rerank_options = wrong }
         assert.is_nil(none)
         assert.are.equal("INVALID", err.code)
         assert.is_truthy(err.text:find("rerank_options", 1, true))
      end
      local none, err = docs:search { vector = { 1, 0 }, score_options = { a = 1 } }
      assert.is_nil(none)
      assert.are.equal("INVALID", err.code)
   end)

   it("does not take a type of the FFI for memory, nor nest without end", function()
      local hits, err = docs:search { vector = ffi.typeof "float[2]" }
      assert.is_nil(hits)
      assert.are.equal("INVALID", err.code)
      assert.is_nil((docs:add { ids = { 9e9 }, vectors = { ffi.typeof "float[2]" } }))
      if place == "server" then return end
      local function again()
         return assert(docs:search { vector = { 1, 0 }, k = 1, score = again })
      end
      local _, why = docs:search { vector = { 1, 0 }, k = 1, score = function() again() end }
      assert.are.equal("HOOK", why.code)
   end)

   it("says what is wrong", function()
      for _, case in ipairs {
         { { vector = { 1, 2, 3 } }, "DIMENSION" }, { { vector = { 1, 2 }, k = 100001 }, "LIMIT" },
         { { vector = { 1, 2 }, k = -1 }, "INVALID" },
         { { vector = { 1, 2 }, k = "5" }, "INVALID" },
         { { vector = { 1, 2 }, k = 0 }, "INVALID" },
         { { vector = { 1, 2 }, range = 1, max_results = 0 }, "INVALID" },
         { { vector = { 1, 2 }, where = 5 }, "INVALID" },
         { { vector = { 1, 2 }, range = "near" }, "INVALID" },
         { { vector = { 1, 2 }, score = "return 1" }, "HOOK" },
         { { vector = { 1, 2 }, score = "return 1 +" }, "PARSE" },
         { { vector = { 1, 2 }, rerank = "nonesuch" }, "NOT_FOUND" },
      } do
         local hits, err = docs:search(case[1])
         assert.is_nil(hits)
         assert.are.equal(case[2], err.code, err.text)
      end
      assert.has_error(function() docs:search { vector = { 1, 2 }, queries = { { 1, 2 } } } end)
      assert.has_error(function() docs:search {} end)
      assert.has_error(function() docs:search { vector = { 1, 2 }, score = 5 } end)
      assert.has_error(function() docs:search() end)
   end)

   where_functions_run("with a score of the program", function()
      it("sees every record once, in batches, and takes its order", function()
         local seen, names = 0, {}
         local hits = assert(docs:search {
            vector = { 1, 0 }, k = 3,
            score = function(n, distance, field, out)
               assert(n <= 4096)
               for i = 0, n - 1 do out[i] = -distance[i] end
               seen = seen + n
               names[#names + 1] = tostring(ffi.typeof(distance)) .. tostring(ffi.typeof(out))
               assert(next(field) == nil)
            end,
         })
         assert.are.same({ COUNT, COUNT - 1, COUNT - 2 }, hits.ids)
         assert.are.equal(COUNT, seen)
         assert.are.equal("ctype<const float *>ctype<float *>", names[1])
      end)

      it("reads fields by name and path, NaN where there is no number", function()
         local lacking = 0
         local score = function(n, _, field, out)
            local nan = 0
            for i = 0, n - 1 do
               local v = field.half[i] + field["owner.age"][i]
               if v ~= v then nan = nan + 1 end
               out[i] = v
            end
            lacking = lacking + nan
         end
         local hits = assert(docs:search { vector = { 1, 0 }, k = 2, score = score, fields = true })
         -- i / 2 + COUNT - i is smallest for the last
         assert.are.same({ COUNT, COUNT - 1 }, hits.ids)
         assert.are.same({ COUNT / 2, (COUNT - 1) / 2 + 1 }, hits.scores)
         assert.are.equal(COUNT, hits.fields[1].n)
         assert.are.equal(1, lacking)
         lacking = 0
         assert.are.same(hits.ids, docs:search({ vector = { 1, 0 }, k = 2, score = score }).ids)
         assert.are.equal(1, lacking) -- the names are known by now
      end)

      it("drops what it gives NaN, and keeps the distance of what it leaves alone", function()
         local hits = docs:search {
            vector = { 0, 0 }, k = 2, where = "n > 1",
            score = function(n, _, field, out)
               for i = 0, n - 1 do if field.n[i] < 8 then out[i] = 0 / 0 end end
            end,
         }
         assert.are.same({ 8, 9 }, hits.ids)
         assert.are.same({ 64, 81 }, hits.scores)
         local none = docs:search { vector = { 0, 0 }, score = function(n, _, _, out)
            for i = 0, n - 1 do out[i] = 0 / 0 end
         end }
         assert.are.equal(0, none.count)
      end)

      it("is called on its own thread, however many records there are", function()
         local many = assert(db:create { name = "many", dim = 1, metric = "l2" })
         local count = 150000
         for first = 0, count - 1, 50000 do
            local vectors = ffi.new "float[50000]"
            for i = 0, 49999 do vectors[i] = first + i end
            assert(many:add { vectors = vectors })
         end
         local seen = 0
         local hits = assert(many:search {
            vector = { 0 }, k = 2,
            score = function(n, distance, _, out)
               for i = 0, n - 1 do out[i] = -distance[i] end
               seen = seen + n
            end,
         })
         assert.are.equal(count, seen)
         assert.are.same({ count - 1, count - 2 }, hits.ids)
         assert.is_true(many:close() and db:drop "many")
      end)

      it("serves several queries, and ranges", function()
         local reverse = function(n, distance, _, out)
            for i = 0, n - 1 do out[i] = 100 - distance[i] end
         end
         local all = docs:search { queries = { { 1, 0 }, { COUNT, 0 } }, k = 1, score = reverse }
         assert.are.same({ COUNT }, all[1].ids)
         assert.are.same({ 1 }, all[2].ids)
      end)

      it("fails with its own words and where it was", function()
         local function broken() local x = nil; return x.y end
         local hits, err = docs:search { vector = { 1, 0 }, score = function() broken() end }
         assert.is_nil(hits)
         assert.are.equal("HOOK", err.code)
         assert.is_truthy(err.text:find "^score: tests/lua/module/search_spec.lua:%d+: attempt to")
         assert.is_truthy(err.text:find("traceback", 1, true))
         assert.is_truthy(err.text:find("in function 'broken'", 1, true), err.text)
         for _, raised in ipairs { setmetatable({}, { __tostring = function() return "mine" end }),
            {}, 5, true } do
            local _, odd = docs:search { vector = { 1, 0 }, score = function() error(raised) end }
            assert.are.equal("HOOK", odd.code)
            assert.is_truthy(odd.text:find(tostring(raised), 1, true), odd.text)
         end
         local _, deep = docs:search {
            vector = { 1, 0 },
            score = function() local function f() return 1 + f() end return f() end,
         }
         assert.is_truthy(deep.text:find("stack overflow", 1, true), deep.text)
         assert.are.equal(10, docs:search({ vector = { 1, 0 } }).count)
      end)

      it("is bounded in what it reads", function()
         local _, err = docs:search { vector = { 1, 0 }, score = function(_, _, field)
            for i = 1, 40 do local _ = field["f" .. i] end
         end }
         assert.is_truthy(err.text:find("more than 32 fields", 1, true), err.text)
         for _, name in ipairs { "", ("x"):rep(256), "a\0b", 5 } do
            _, err = docs:search { vector = { 1, 0 }, score = function(_, _, field)
               return field[name]
            end }
            assert.are.equal("HOOK", err.code)
         end
      end)

      it("may catch the error of a field that is not there yet", function()
         local hits = assert(docs:search {
            vector = { 1, 0 }, k = 1,
            score = function(n, _, field, out)
               pcall(function() for i = 0, n - 1 do out[i] = -field.n[i] end end)
            end,
         })
         assert.are.same({ COUNT }, hits.ids)
      end)

      it("may search and read meanwhile, but neither close nor yield", function()
         local counted, inner
         local hits = assert(docs:search {
            vector = { 1, 0 }, k = 1,
            score = function()
               counted = docs:count()
               inner = docs:search { vector = { 7, 0 }, k = 1, score = function(n, d, f, out)
                  for i = 0, n - 1 do out[i] = d[i] + 0 * f.n[i] end
               end }
            end,
         })
         assert.are.same({ 1 }, hits.ids)
         assert.are.equal(COUNT, counted)
         assert.are.same({ 7 }, inner.ids)
         local _, err = docs:search { vector = { 1, 0 }, score = function() db:close() end }
         assert.is_truthy(err.text:find("cannot be closed", 1, true), err.text)
         local run = coroutine.wrap(function()
            return docs:search { vector = { 1, 0 }, score = function() coroutine.yield(1) end }
         end)
         local _, yielded = run()
         assert.is_truthy(yielded.text:find("yield", 1, true), yielded.text)
         assert.are.equal(COUNT, docs:count())
      end)

      it("runs in a coroutine", function()
         local run = coroutine.wrap(function()
            coroutine.yield(0)
            return docs:search { vector = { 1, 0 }, k = 1, score = function(n, d, _, out)
               for i = 0, n - 1 do out[i] = -d[i] end
            end }
         end)
         run()
         assert.are.same({ COUNT }, run().ids)
      end)

      it("may make garbage and drop other databases while it runs", function()
         local hits = assert(docs:search {
            vector = { 1, 0 }, k = 1,
            score = function()
               assert(assert(open()):create { name = "x", dim = 1 }):each()()
               collectgarbage()
               collectgarbage()
            end,
         })
         assert.are.same({ 1 }, hits.ids)
      end)

      it("may close and drop what it searches", function()
         local mine = assert(db:create { name = "dropped", dim = 1, metric = "l2" })
         assert(mine:add { vectors = { { 1 }, { 2 } } })
         local hits = assert(mine:search { vector = { 0 }, fields = true, score = function()
            mine:close()
            assert(db:drop "dropped")
         end })
         assert.are.same({ 0, 1 }, hits.ids)
         assert.has_error(function() mine:count() end)
      end)

      it("may do what waits, with threads and without", function()
         for _, mode in ipairs { "inline", "threads" } do
            local path = os.tmpname()
            os.remove(path)
            local root = assert(lynse.open(path, { mode = mode }))
            local mine = assert(root:create { name = "mine", dim = 1, metric = "l2" })
            assert(mine:add { ids = { 1, 2 }, vectors = { { 1 }, { 2 } } })
            local hits = assert(mine:search { vector = { 0 }, fields = true, score = function()
               assert(mine:delete { 1 })
               assert(mine:flush())
               assert(mine:checkpoint())
               assert(root:create "other")
               assert(root:drop "other")
               root:poll(100)
               assert(root:sync())
            end, rerank = function() assert(mine:upsert { ids = { 3 }, vectors = { { 3 } } }) end })
            assert.are.same({ 1, 2 }, hits.ids)
            assert.are.equal(2, mine:count())
            assert.is_true(root:close())
            os.execute("rm -rf '" .. path .. "'")
         end
      end)

      it("may write to what it searches", function()
         local mine = assert(db:require { name = "mine", dim = 1, metric = "l2" })
         assert(mine:upsert { ids = { 1, 2 }, vectors = { { 1 }, { 2 } } })
         local hits = assert(mine:search { vector = { 0 }, score = function()
            assert(mine:upsert { ids = { 3 }, vectors = { { 3 } } })
         end })
         assert.are.same({ 1, 2 }, hits.ids)
         assert.are.equal(3, mine:count())
      end)
   end)

   describe("with a rerank of the program", function()
      it("gets the hits with fields and vectors, and gives their order", function()
         local dims
         local hits = assert(docs:search {
            vector = { 10, 0 }, k = 4, fields = true,
            rerank = function(found, dim)
               dims = dim
               local order = {}
               for i = #found, 2, -1 do
                  local hit = found[i]
                  assert(hit.field.n == hit.id and hit.vector[0] == hit.id)
                  hit.score = hit.id
                  order[#order + 1] = hit
               end
               return order
            end,
         })
         assert.are.equal(2, dims)
         assert.are.same({ 8, 11, 9 }, hits.ids)
         assert.are.same({ 8, 11, 9 }, hits.scores)
         assert.are.same({ 8, 11, 9 }, { hits.fields[1].n, hits.fields[2].n, hits.fields[3].n })
      end)

      it("sees distances, whatever the metric, and may sort in place", function()
         local ip = assert(db:require { name = "ip", dim = 1, metric = "ip" })
         assert(ip:upsert { ids = { 1, 2, 3 }, vectors = { { 1 }, { 2 }, { 3 } } })
         local first
         local hits = ip:search { vector = { 1 }, rerank = function(found)
            first = found[1].score
            table.sort(found, function(a, b) return a.score > b.score end)
         end }
         assert.are.equal(-3, first)
         assert.are.same({ 1, 2, 3 }, hits.ids)
      end)

      it("works after a score, for each query, and drops NaN", function()
         local all = docs:search {
            queries = { { 10, 0 }, { 20, 0 } }, k = 3,
            score = [[function(n, d, field, out)
               for i = 0, n - 1 do out[i] = d[i] + field.n[i] end
            end]],
            rerank = function(found) found[1].score = 0 / 0 end,
         }
         assert.are.equal(2, all[1].count)
         assert.are.equal(2, all[2].count)
      end)

      it("is told what is wrong with its answer", function()
         for _, case in ipairs {
            { function() return 5 end, "a number instead" },
            { function() return { {} } end, "none of the hits" },
            { function(f) return { f[1], f[1] } end, "there twice" },
            { function(f) return { f[1], 7 } end, "entry 2" },
            { function(f) f[1].score = "x" end, "a string for its score" },
            { function() error "no" end, "no" },
         } do
            local hits, err = docs:search { vector = { 1, 0 }, k = 2, rerank = case[1] }
            assert.is_nil(hits)
            assert.are.equal("HOOK", err.code)
            assert.is_truthy(err.text:find("rerank: ", 1, true) and err.text:find(case[2], 1, true),
               err.text)
         end
         local none = docs:search { vector = { 1, 0 }, rerank = function() return {} end }
         assert.are.equal(0, none.count)
      end)
   end)
end)
