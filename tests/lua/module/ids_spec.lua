-- SPDX-License-Identifier: Apache-2.0
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()
local ffi = require "ffi"

served.places("ids in memory of the FFI", function(open)
   local db, docs

   before_each(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 1, metric = "l2" })
   end)
   after_each(function() db:close() end)

   it("are those of added, replaced, deleted and restored records", function()
      local ids = ffi.new("uint64_t[3]", { 7, 9007199254740993ULL, 18446744073709551614ULL })
      assert.are.equal(3, docs:add({ ids = ids, vectors = { 1, 2, 3 } }).count)
      local hits = docs:get(ids, { vectors = true, numbers = true })
      assert.are.equal(3, hits.count)
      for i = 0, 2 do
         assert.is_true(hits.numbers[i] == ids[i])
         assert.are.equal(i + 1, hits.vectors[i + 1][0])
      end
      assert.are.equal("18446744073709551614", tostring(hits.ids[3]))
      local signed = ffi.new("int64_t[?]", 2, { 7, 9007199254740993LL })
      assert.are.equal(2, docs:upsert({ ids = signed, vectors = { { 5 }, { 6 } } }).count)
      assert.are.equal(5, docs:get(7, { vectors = true }).vectors[1][0])
      assert.are.equal(2, docs:delete(signed).count)
      assert.are.equal(1, docs:count())
      assert.are.equal(1, docs:restore(ffi.cast("const int64_t *", signed), { count = 1 }).count)
      assert.is_true(docs:exists(7))
      assert.are.equal(2, docs:get(ffi.cast("uint64_t *", ids), { count = 3 }).count)
      assert.are.equal(1, docs:get(ids, { count = 1 }).count)
      local pointer = ffi.cast("int64_t *", signed)
      assert(docs:upsert { ids = pointer, count = 2, vectors = ffi.new("float[2]", 8) })
      assert.are.equal(8, docs:get(signed, { vectors = true }).vectors[2][0])
      assert.are.equal(0, docs:get(ffi.new "uint64_t[0]").count)
   end)

   it("are refused where they are none", function()
      local null = ffi.cast("uint64_t *", nil)
      for _, case in ipairs {
         { { ids = ffi.new("int64_t[2]", { 1, -1 }), vectors = { 1, 2 } }, "entry 2" },
         { { ids = ffi.new "int32_t[2]", vectors = { 1, 2 } }, "a int [2]" },
         { { ids = ffi.new "uint64_t[2]", vectors = { { 1 } } }, "2 for 1" },
         { { ids = ffi.new "uint64_t[2]", count = 3, vectors = { 1, 2, 3 } }, "up to 2" },
         { { ids = ffi.new "uint64_t[2]", count = -1, vectors = { 1 } }, "count" },
         { { ids = ffi.new "uint64_t[2]", count = 1.5, vectors = { 1 } }, "count" },
         { { ids = ffi.new "uint64_t[2]", count = "1", vectors = { 1 } }, "count" },
         { { ids = ffi.new("uint64_t[1]", 18446744073709551615ULL), vectors = { 1 } }, "largest" },
         { { ids = ffi.typeof "uint64_t[1]", vectors = { 1 } }, "ids" },
         { { ids = null, count = 1, vectors = { 1 } }, "NULL" },
         { { ids = ffi.cast("uint64_t *", ffi.new "uint64_t[1]"), vectors = { 1 } }, "count" },
         { { ids = { 1 }, count = 1, vectors = { 1 } }, "count" },
         { { count = 1, vectors = { 1 } }, "count" },
      } do
         local done, err = docs:add(case[1])
         assert.is_nil(done)
         assert.is_truthy(err.text:find(case[2], 1, true), err.text)
      end
      assert.are.equal(0, docs:count())
      assert.are.equal("LIMIT", select(2, docs:get(ffi.new "uint64_t[100001]")).code)
   end)

   it("may be one id alone", function()
      assert(docs:add { ids = "a", vectors = { { 1 } } })
      assert(docs:add { ids = 5, vectors = { 2 }, fields = { { n = 1 } } })
      assert(docs:add { ids = 9007199254740993ULL, vectors = ffi.new("float[1]", 3) })
      assert.are.equal(3, docs:count())
      assert.are.equal(1, docs:get("a", { vectors = true }).vectors[1][0])
      assert.are.equal(3, docs:get(9007199254740993LL, { vectors = true }).vectors[1][0])
      local _, err = docs:add { ids = "b", vectors = { { 1 }, { 2 } } }
      assert.are.equal("INVALID", err.code)
   end)

   it("are numbers of hits where all are integers", function()
      assert(docs:add { ids = { 1, 2, 3 }, vectors = { 1, 2, 3 } })
      local hits = docs:search { vector = { 0 }, k = 2, numbers = true }
      assert.are.equal(16, ffi.sizeof(hits.numbers))
      assert.is_truthy(tostring(hits.numbers):find("uint64_t [", 1, true))
      assert.is_true(hits.numbers[0] == 1ULL and hits.numbers[1] == 2ULL)
      assert.are.equal(2, docs:delete(hits.numbers).count)
      assert.is_nil(docs:search({ vector = { 0 } }).numbers)
      local none = docs:search { vector = { 0 }, where = "n > 0", numbers = true }
      assert.are.equal(0, ffi.sizeof(none.numbers))
      assert(docs:add { ids = "text", vectors = { 4 } })
      hits = docs:search { vector = { 0 }, numbers = true }
      assert.are.same({ 3, "text" }, hits.ids)
      assert.is_nil(hits.numbers)
      local all = docs:search { queries = { { 3 }, { 4 } }, k = 1, numbers = true }
      assert.are.equal(2, #all)
   end)

   it("does not take two rows for one vector", function()
      assert(docs:add { vectors = { 1, 2 } })
      for _, ask in ipairs { "search", "begin_search" } do
         local hits, err = docs[ask](docs, { vector = { { 1 }, { 2 } } })
         assert.is_nil(hits)
         assert.are.equal("INVALID", err.code)
         assert.is_truthy(err.text:find("vector: 2 rows", 1, true), err.text)
      end
      assert.are.equal(2, docs:search({ vector = { { 1 } } }).count)
   end)
end)
