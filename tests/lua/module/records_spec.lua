-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()
local ffi = require "ffi"

served.places("records", function(open, place)
   local db, docs

   before_each(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 3, metric = "l2" })
   end)
   after_each(function() db:close() end)

   it("are added, read, replaced, deleted and brought back", function()
      local done = assert(docs:add {
         ids = { "a", 5 }, vectors = { { 1, 2, 3 }, { 4, 5, 6 } }, fields = { { n = 1 } },
      })
      assert.are.equal(2, done.count)
      assert.are.equal(place == "server" and "always" or "none", done.sync)
      assert.is_nil(done.first_id)
      local hits = docs:get({ 5, "a", "b" }, { vectors = true })
      assert.are.same({ 5, "a" }, hits.ids)
      assert.are.same({ {}, { n = 1 } }, hits.fields)
      assert.are.equal(5, hits.vectors[1][1])
      assert.is_nil(hits.scores)
      assert(docs:upsert { ids = { "a" }, vectors = { { 9, 9, 9 } } })
      assert.are.same({ n = 1 }, docs:get("a").fields[1])
      assert.are.equal(1, docs:delete({ "a", "none" }).count)
      assert.is_false(docs:exists "a")
      assert.are.equal(1, docs:restore("a").count)
      assert.is_true(docs:exists "a")
      assert.is_nil(docs:get("a", { fields = false }).fields)
   end)

   it("are added all or none", function()
      assert(docs:add { ids = { 1 }, vectors = { { 1, 2, 3 } } })
      local done, err = docs:add { ids = { 2, 1 }, vectors = { { 1, 2, 3 }, { 1, 2, 3 } } }
      assert.is_nil(done)
      assert.are.equal("ALREADY_EXISTS", err.code)
      assert.are.equal(1, docs:count())
   end)

   it("are added once, however often the request is sent", function()
      local id = ("\1"):rep(16)
      local request = { vectors = { { 1, 2, 3 }, { 4, 5, 6 } }, request_id = id }
      local first = assert(docs:add(request))
      assert.is_nil(first.is_repeat)
      local again = assert(docs:add(request))
      assert.is_true(again.is_repeat)
      assert.are.same({ first.lsn, 2, 0 }, { again.lsn, again.count, again.first_id })
      assert.are.equal(2, docs:count())
      local done, err = docs:delete(0, { request_id = id })
      assert.is_nil(done)
      assert.are.equal("INVALID", err.code)
      done, err = docs:delete(0, { request_id = "short" })
      assert.is_nil(done)
      assert.are.equal("INVALID", err.code)
   end)

   it("are deleted by a filter once, whatever matches it later", function()
      local one = { where = "n = 1", request_id = ("\2"):rep(16) }
      local function put(id)
         assert(docs:upsert { ids = { id }, vectors = { { 1, 2, 3 } }, fields = { { n = 1 } } })
      end
      put "a"
      assert.are.equal(1, docs:delete(one).count)
      put "b"
      local again = assert(docs:delete(one))
      assert.is_true(again.is_repeat)
      assert.are.equal(1, again.count)
      assert.is_true(docs:exists "b")
   end)

   it("get numbers for ids where none are given", function()
      assert.are.equal(0, docs:add({ vectors = { { 1, 2, 3 }, { 1, 2, 3 } } }).first_id)
      assert.are.equal(2, docs:add({ vectors = { { 1, 2, 3 } } }).first_id)
      assert.are.equal(2, docs:info().max_int_id)
   end)

   it("have vectors in any form", function()
      local two = ffi.new("float[6]", { 1, 2, 3, 4, 5, 6 })
      local forms = {
         { vectors = { { 1, 2, 3 }, { 4, 5, 6 } } },
         { vectors = { 1, 2, 3, 4, 5, 6 } },
         { vectors = { 1, 2, 3, 4, 5, 6 }, ids = { 11, 12 } },
         { vectors = two },
         { vectors = ffi.new("float[2][3]", { { 1, 2, 3 }, { 4, 5, 6 } }) },
         { vectors = ffi.cast("float *", two), ids = { 21, 22 } },
         { vectors = ffi.cast("const float *", two), ids = { 31, 32 }, dim = 3 },
         { vectors = ffi.string(two, 24) },
         { vectors = { ffi.string(two, 12), ffi.new("float[3]", { 4, 5, 6 }) } },
      }
      for i, rows in ipairs(forms) do
         local done, err = docs:add(rows)
         assert.is_truthy(done, tostring(err) .. " of form " .. i)
         assert.are.equal(2, done.count)
         local first = rows.ids and rows.ids[1] or done.first_id
         assert.are.equal(3, docs:get(first, { vectors = true }).vectors[1][2])
      end
      assert.are.equal(#forms, docs:search({ vector = { 4, 5, 6 }, range = 0 }).count)
   end)

   it("refuse vectors that are none, and say why", function()
      local nothing = ffi.cast("float *", nil)
      for _, case in ipairs {
         { { vectors = nil }, "missing" }, { { vectors = 5 }, "a number" },
         { { vectors = { { 1, 2 } } }, "dim" }, { { vectors = { { 1, 2, 3 }, { 1 } } }, "row 2" },
         { { vectors = { { 1, "2", 3 } } }, "component 2 is a string" },
         { { vectors = { { 1, 2, 0 / 0 } } }, "" }, { { vectors = {} }, "" },
         { { vectors = { {} } }, "" }, { { vectors = "abc" }, "3 bytes" },
         { { vectors = ffi.new("double[3]") }, "double" }, { { vectors = 5ULL }, "uint64_t" },
         { { vectors = nothing, ids = { 1 } }, "NULL" },
         { { vectors = ffi.new("float[4]") }, "components" },
         { { vectors = ffi.new("float[3]"), dim = 1e18 }, "dimension" },
         { { vectors = ffi.new("float[3]"), dim = "3" }, "dimension" },
         { { vectors = { { 1, 2, 3 } }, ids = { 1, 2 } }, "" },
         { { vectors = { { 1, 2, 3 }, { 4, 5, 6 } }, ids = 5 }, "1 for 2" },
         { { vectors = { { 1, 2, 3 }, true } }, "a boolean" },
      } do
         local done, err = docs:add(case[1])
         assert.is_nil(done)
         assert.is_truthy(err.text:find(case[2], 1, true), err.text)
      end
      assert.are.equal(0, docs:count())
      assert.has_error(function() docs:add { vector = { { 1, 2, 3 } } } end)
      assert.has_error(function() docs:add() end)
   end)

   it("have ids that are exact beyond 2^53", function()
      local wide = assert(lynse.integer "18446744073709551614")
      assert(docs:add {
         ids = { wide, 9007199254740993ULL, 9007199254740992, "9007199254740993" },
         vectors = { { 1, 0, 0 }, { 2, 0, 0 }, { 3, 0, 0 }, { 4, 0, 0 } },
      })
      local ids = docs:search({ vector = { 0, 0, 0 }, k = 4 }).ids
      assert.are.equal(wide, ids[1])
      assert.are.equal("18446744073709551614", tostring(ids[1]))
      assert.are.equal(lynse.integer(9007199254740993ULL), ids[2])
      assert.is_true(ids[2] < ids[1])
      assert.is_false(ids[1] < ids[2])
      assert.are.equal(9007199254740992, ids[3])
      assert.are.equal("9007199254740993", ids[4])
      assert.is_true(docs:exists(wide))
      assert.is_true(docs:exists(9007199254740993LL))
      assert.are.equal(4, docs:get(ids).count)
      assert.are.equal(2, docs:delete({ ids[1], ids[2] }).count)
   end)

   it("refuse ids that are none, and name the entry", function()
      for _, id in ipairs { -1, 1.5, 2 ^ 53 + 2, -1LL, true, "", ("x"):rep(256), {}, 1 / 0, 0 / 0,
         lynse.null, lynse.datetime(0), 3i } do
         local hits, err = docs:get { 1, id }
         assert.is_nil(hits)
         assert.is_truthy(err.text:find "entry 2", err.text)
      end
      local _, err = docs:exists(1.5)
      assert.are.equal("INVALID", err.code)
      local many = {}
      for i = 1, 100001 do many[i] = i end
      assert.are.equal("LIMIT", select(2, docs:delete(many)).code)
   end)

   it("are counted, found and deleted by where", function()
      local rows = { ids = {}, vectors = {}, fields = {} }
      for i = 1, 1000 do
         rows.ids[i], rows.vectors[i], rows.fields[i] = i, { i, 0, 0 }, { n = i }
      end
      assert(docs:add(rows))
      assert.are.equal(1000, docs:count())
      assert.are.equal(10, docs:count "n <= 10")
      local hits = docs:query("n > 400", { vectors = true, limit = 300 })
      assert.are.equal(300, hits.count)
      assert.are.equal(300, #hits.ids)
      assert.are.equal(401, hits.ids[1])
      assert.are.same({ n = 700 }, hits.fields[300])
      assert.are.equal(700, hits.vectors[300][0])
      local sum, seen = 0, 0
      for id, fields, vector in docs:each { where = "n = 3 OR n > 0", vectors = true } do
         assert.are.equal(id, fields.n)
         sum, seen = sum + vector[0], seen + 1
      end
      assert.are.equal(1000, seen)
      assert.are.equal(500500, sum)
      assert.are.equal(990, docs:delete({ where = "n > 10" }).count)
      local deleted = 0
      for _ in docs:each { deleted = true, fields = false } do deleted = deleted + 1 end
      assert.are.equal(990, deleted)
      for id, fields in docs:each { fields = false } do
         assert.is_true(id <= 10)
         assert.is_nil(fields)
      end
   end)

   it("have a where that says what is wrong with it", function()
      for _, call in ipairs {
         function() return docs:count "n >" end,
         function() return docs:query "n >" end,
         function() return docs:delete { where = "n >" } end,
         function() return docs:search { vector = { 1, 2, 3 }, where = "n >" } end,
      } do
         local done, err = call()
         assert.is_nil(done)
         assert.are.equal("PARSE", err.code)
      end
      local raised = select(2, pcall(docs.each, docs, "n >"))
      assert.are.equal("PARSE", raised.code)
      assert.are.equal("INVALID", select(2, docs:count(5)).code)
      assert.are.equal("INVALID", select(2, docs:count "a\0b").code)
      assert.are.equal("LIMIT", select(2, docs:query("n = 1", { limit = 0 })).code)
      assert.are.equal("INVALID", select(2, docs:get(1, { fields = { "n" } })).code)
   end)

   it("are searched by an index of their own choice", function()
      assert(docs:add { vectors = { { 1, 2, 3 } } })
      local refused = select(2, docs:build_index("AUTO-COS", { m = 5 }))
      assert.are.equal("INVALID", refused.code)
      assert.is_truthy(refused.text:find("AUTO chooses", 1, true))
      assert.is_true(docs:build_index("AUTO-COS", {}, false))
      local info = docs:info()
      assert.are.equal("FLAT-COS", info.index_mode)
      assert.is_true(info.index_is_auto)
      assert.are.same({}, info.index_params)
      assert.are.equal(1, info.index_progress)
      assert.are.equal(0, info.recall_query_count)
      assert.is_nil(info.recall_measured)
      assert.are.equal(info.segment_count, info.indexed_segment_count)
      assert.is_true(docs:build_index("hnsw-l2", { m = 8 }))
      info = docs:info()
      assert.are.equal("HNSW-L2", info.index_mode)
      assert.is_false(info.index_is_auto)
      assert.are.equal(8, info.index_params.m)
      assert.are.equal(50, info.index_params.ef_search)
      assert.are.equal(1, assert(docs:search { vector = { 1, 2, 3 }, ef = 7 }).count)
      assert.are.equal("LIMIT", select(2, docs:build_index("HNSW-L2", { m = 1 })).code)
      local most = lynse.integer "18446744073709551615"
      assert.are.equal("LIMIT", select(2, docs:build_index("HNSW-L2", { m = most })).code)
      assert.is_true(docs:build_index "FLAT-COS")
      for _, given in ipairs {
         { "FLAT-XY" }, { "FLAT" }, { "FLAT-L2", { speed = 1 } }, { "FLAT-L2", { m = "16" } },
         { "FLAT-L2", { 16 } }, { "FLAT-L2", 16 }, { "FLAT-L2", {}, "soon" },
      } do
         local done, err = docs:build_index(unpack(given))
         assert.is_nil(done)
         assert.are.equal("INVALID", err.code)
      end
      assert.are.equal("FLAT-COS", docs:info().index_mode)
      for _, options in ipairs { { ef = 50 }, { nprobe = 10, beam = 10 }, { exact = true },
         { oversample = 4 }, { approx = true, eps = 0.5 }, { eps = 2 },
         { score_mode = "beam" } } do
         options.vector = { 1, 2, 3 }
         assert.are.equal(1, assert(docs:search(options)).count)
      end
      local vector = { 1, 2, 3 }
      local function code(options) return select(2, docs:search(options)).code end
      assert.are.equal("INVALID", code { vector = vector, ef = 50, nprobe = 10 })
      assert.are.equal("LIMIT", code { vector = vector, ef = 2 ^ 20 + 1 })
      assert.are.equal("LIMIT", code { vector = vector, oversample = 0.5 })
      assert.are.equal("INVALID", code { vector = vector, exact = 1 })
      local _, unknown = docs:search { vector = vector, score_mode = "some" }
      assert.are.equal("INVALID", unknown.code)
      assert.is_truthy(unknown.text:find("there are all, collect, beam", 1, true), unknown.text)
      assert.are.equal("INVALID", code { vector = vector, approx = true, eps = -1 })
   end)

   it("are on disk after flush and checkpoint, and described by info", function()
      assert(docs:add { vectors = { { 1, 2, 3 } } })
      assert.is_true(docs:flush())
      assert.is_true(docs:checkpoint())
      assert.is_true(docs:sync() > 0)
      local info = docs:info()
      assert.are.equal(1, info.segment_count)
      assert.are.equal(3, info.dim)
      assert.are.equal("l2", info.metric)
      assert.is_true(docs:build_index "FLAT-COS")
      assert.are.equal("cosine", docs:info().metric)
      assert.is_true(docs:build_index "flat-js")
      assert.are.equal("jensen_shannon", docs:info().metric)
      assert.are.equal("DIMENSION", select(2, docs:build_index "FLAT-GEO").code)
      assert.is_true(docs:remove_index())
      assert.is_nil(docs:description())
      assert.is_true(docs:describe "what they are about")
      assert.are.equal("what they are about", docs:description())
      assert(docs:upsert { ids = { 9 }, vectors = { { 1, 2, 3 } }, fields = { { x = 1, y = 2 } } })
      assert.are.same({ "x", "y" }, docs:list_fields())
      assert.are.same({ findings = {}, indexes = {} }, docs:verify "deep")
      assert.are.same({}, docs:verify().findings)
      assert.are.equal("INVALID", select(2, docs:verify "deeply").code)
      assert.are.equal("INVALID", select(2, docs:set_sync "sometimes").code)
   end)
end)
