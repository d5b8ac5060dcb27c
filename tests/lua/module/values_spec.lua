-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()

served.places("fields", function(open)
   local db, docs

   before_each(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 1 })
   end)
   after_each(function() db:close() end)

   local function keep(fields)
      assert(docs:upsert { ids = { 1 }, vectors = { { 1 } }, fields = { fields } })
      return docs:get(1).fields[1]
   end

   it("come back as they were", function()
      local given = {
         text = "ä\n", empty = "", yes = true, no = false, int = 42, negative = -7, float = 1.5,
         large = 2 ^ 53, tiny = 1e-300, list = { 1, "two", { three = { 3 } } },
         map = { a = { b = { c = "d" } }, ["a.b"] = 1 }, nothing = {},
      }
      assert.are.same(given, keep(given))
      assert.are.same(given, keep(keep(given)))
      assert.are.equal(1 / 0, keep({ x = 1 / 0 }).x)
   end)

   it("have nulls, empty lists and a negative zero", function()
      local kept = keep { none = lynse.null, list = { 1, lynse.null, 3 }, zero = -0.0 }
      assert.are.equal(lynse.null, kept.none)
      assert.are.equal(lynse.null, kept.list[2])
      assert.are.equal(3, #kept.list)
      assert.are.equal(-1 / 0, 1 / kept.zero)
      assert.are.equal(1, docs:count "none IS NULL")
      keep(keep { list = lynse.array {} })
      assert.are.equal(0, docs:count "list CONTAINS 1")
      local again = keep(keep { list = lynse.array {}, map = {} })
      assert.are.equal(getmetatable(lynse.array {}), getmetatable(again.list))
      assert.is_nil(getmetatable(again.map))
   end)

   it("keep integers beyond 2^53, datetimes and bytes", function()
      local kept = keep {
         high = lynse.integer "18446744073709551615", low = lynse.integer "-9223372036854775808",
         cdata = 9007199254740993ULL, small = 5LL,
         at = lynse.datetime "2024-02-29T12:34:56.5Z", raw = lynse.bytes "\0\255",
      }
      assert.are.equal("18446744073709551615", tostring(kept.high))
      assert.are.equal(lynse.integer "-9223372036854775808", kept.low)
      assert.are.equal("9007199254740993", tostring(kept.cdata))
      assert.are.equal(5, kept.small)
      assert.are.equal("2024-02-29T12:34:56.500000Z", tostring(kept.at))
      assert.are.equal(1709210096.5, kept.at.seconds)
      assert.are.equal(lynse.datetime(1709210096.5), kept.at)
      assert.are.equal("\0\255", tostring(kept.raw))
      assert.are.equal(lynse.bytes "\0\255", kept.raw)
      assert.are.same({ "integer", "datetime", "bytes" },
         { kept.high.kind, kept.at.kind, kept.raw.kind })
      assert.are.equal(1, docs:count "at > DATETIME '2024-01-01' AND high > 9223372036854775807")
      assert.is_true(kept.low < kept.high and lynse.bytes "a" < lynse.bytes "b")
      assert.has_error(function() return kept.at < kept.high end)
   end)

   it("refuse what cannot be kept, and change nothing", function()
      local before = keep { n = 1 }
      local circle, deep = {}, {}
      circle.again = circle
      local inner = deep
      for _ = 1, 40 do
         inner.x = {}
         inner = inner.x
      end
      local many = {}
      for i = 1, 5000 do many["k" .. i] = i end
      for _, case in ipairs {
         { { f = print }, "'f' is a function" }, { { [1] = "x" }, "keys" },
         { { list = { 1, nil, 3 } }, "keys" }, { { mixed = { 1, a = 2 } }, "keys" },
         { { [true] = 1 }, "keys" }, { { x = { [1.5] = 1 } }, "keys" },
         { { x = { [0] = 1 } }, "keys" },
         { { x = lynse.array { a = 1 } }, "keys" }, { circle, "deeper" }, { deep, "deeper" },
         { many, "4096" }, { { t = ("x"):rep(2 ^ 20 + 1) }, "" }, { { t = "\255" }, "UTF-8" },
         { { ["\255"] = 1 }, "UTF-8" }, { { c = coroutine.create(print) }, "thread" },
         { { c = require("ffi").new "int[2]" }, "cdata" }, { { c = io.stdout }, "userdata" },
         { 5, "must be a table" }, { "x", "must be a table" },
      } do
         local done, err = docs:upsert { ids = { 1 }, vectors = { { 1 } }, fields = { case[1] } }
         assert.is_nil(done)
         assert.is_truthy(err.text:find(case[2], 1, true), err.text)
      end
      assert.are.same(before, docs:get(1).fields[1])
      local _, err = docs:upsert { ids = { 1 }, vectors = { { 1 } }, fields = "x" }
      assert.are.equal("INVALID", err.code)
   end)

   it("come back as they were, whatever they are", function()
      local seed = tonumber(os.getenv "LYNSE_TEST_SEED" or "") or os.time()
      math.randomseed(seed)
      local texts = { "", "a", "ä", "\0", ("long"):rep(100), "1", "a.b", "[0]" }
      local numbers = { 0, -1, 127, 128, 255, 256, -32, -33, -129, 65536, 2 ^ 32, -2 ^ 31 - 1,
         2 ^ 53, -2 ^ 53, 0.5, 1e300, -1e-300, 1 / 0 }
      local make = {
         function() return texts[math.random(#texts)] end,
         function() return numbers[math.random(#numbers)] end,
         function() return math.random(2) == 1 end,
         function() return lynse.null end,
         function()
            local digits = tostring(math.random(1e8, 9e8)):rep(2):sub(1, 18)
            return lynse.integer((math.random(2) == 1 and "-" or "") .. digits)
         end,
         function() return lynse.datetime(math.random(-1e9, 1e9)) end,
         function() return lynse.bytes(texts[math.random(#texts)]) end,
      }
      local function any(depth)
         local kind = math.random(depth > 0 and 9 or 7)
         if kind <= 7 then return make[kind]() end
         local made = {}
         for i = 1, math.random(0, 5) do
            if kind == 8 then made[i] = any(depth - 1)
            else made[make[1]() .. math.random(99)] = any(depth - 1) end
         end
         return kind == 8 and lynse.array(made) or made
      end
      for _ = 1, 300 do
         local given = { x = any(6), y = any(3) }
         assert.are.same(given, keep(given), "LYNSE_TEST_SEED=" .. seed)
      end
   end)

   it("are read without metamethods", function()
      local loud = setmetatable({ a = 1 }, {
         __index = function() error "read" end, __pairs = function() error "walked" end,
         __len = function() return 7 end,
      })
      assert.are.same({ a = 1 }, keep(loud))
   end)
end)

describe("values of their own kind", function()
   it("are made from texts and numbers, or say why not", function()
      assert.are.equal(7, lynse.integer "7")
      assert.are.equal(-7, lynse.integer(-7))
      assert.are.equal(0, lynse.integer "-0")
      assert.are.equal(2 ^ 53, lynse.integer "9007199254740992")
      for _, wrong in ipairs { "", "-", "1x", "18446744073709551616", "-9223372036854775809", 1.5,
         2 ^ 60, "0x10", {}, true } do
         local made, err = lynse.integer(wrong)
         assert.is_nil(made)
         assert.are.equal("INVALID", err.code)
      end
      for _, wrong in ipairs { "yesterday", "2024-13-01", 1e300, 0 / 0, -1 / 0, {} } do
         local made, err = lynse.datetime(wrong)
         assert.is_nil(made)
         assert.is_truthy(err.code == "INVALID" or err.code == "PARSE")
      end
      assert.has_error(function() lynse.bytes {} end)
      assert.has_error(function() lynse.array "x" end)
      assert.has_error(function() lynse.integer() end)
   end)
end)
