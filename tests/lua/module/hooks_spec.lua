-- SPDX-License-Identifier: Apache-2.0
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()

served.places("hooks of a collection", function(open)
   local db, docs
   local far = "function(n, d, _, out, o) for i = 0, n - 1 do out[i] = o.sign * d[i] end end"

   before_each(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 1, metric = "l2" })
      assert(docs:add { ids = { 1, 2, 3 }, vectors = { { 1 }, { 2 }, { 3 } } })
   end)
   after_each(function() db:close() end)

   it("are set, listed, run and dropped", function()
      assert.are.same({}, docs:hooks())
      assert.are.equal(1, docs:set_hook("score", far, { options = { sign = -1 } }))
      assert.are.equal(2, docs:set_hook("score", far,
         { options = { sign = -2 }, on_failure = "skip" }))
      assert.are.same({
         score = {
            version = 2, source = far, options = { sign = -2 }, on_failure = "skip",
            is_trusted = false, is_disabled = false,
         },
      }, docs:hooks())
      local hits = assert(docs:search { vector = { 0 }, k = 2 })
      assert.are.same({ 3, 2 }, hits.ids)
      assert.are.same({ -18, -8 }, hits.scores)
      assert.is_nil(hits.skipped)
      assert.are.same({ 1, 2 }, docs:search { vector = { 0 }, k = 2, hooks = false }.ids)
      assert.are.same({ 3, 2 }, docs:search { vector = { 0 }, k = 2, hooks = true }.ids)
      hits = assert(docs:search { vector = { 0 }, k = 2, score = "function() end" })
      assert.are.same({ 1, 2 }, hits.ids)
      assert.is_true(docs:drop_hook "score")
      local none, err = docs:drop_hook "score"
      assert.is_nil(none)
      assert.are.equal("NOT_FOUND", err.code)
      assert.are.equal(3, docs:set_hook("score", far))
   end)

   it("are skipped where that is asked for, and the hits say so", function()
      assert(docs:set_hook("score", far, { on_failure = "skip" })) -- without its sign
      assert(docs:set_hook("rerank", "function() error 'no' end", { on_failure = "skip" }))
      local hits = assert(docs:search { vector = { 0 } })
      assert.are.same({ 1, 2, 3 }, hits.ids)
      assert.are.same({ "score", "rerank" }, hits.skipped)
      assert(docs:set_hook("rerank", "function() error 'no' end"))
      local none, err = docs:search { vector = { 0 } }
      assert.is_nil(none)
      assert.are.equal("HOOK", err.code)
   end)

   it("are refused where they are none", function()
      for _, case in ipairs {
         { "INVALID", "upsert", far }, { "INVALID", 5, far }, { "INVALID", "score", nil },
         { "PARSE", "score", "function( end" }, { "HOOK", "score", "return 5" },
         { "INVALID", "score", far, { on_failure = "perhaps" } },
         { "INVALID", "score", far, { options = 5 } }, { "NOT_FOUND", "rerank", "nothing" },
      } do
         local none, err = docs:set_hook(case[2], case[3], case[4])
         assert.is_nil(none)
         assert.are.equal(case[1], err.code, tostring(err))
      end
      assert.are.same({}, docs:hooks())
      assert.has_error(function() docs:set_hook("score", far, { policy = "skip" }) end)
   end)
end)
