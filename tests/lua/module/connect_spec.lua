-- SPDX-License-Identifier: Apache-2.0
-- What is of a server alone: addresses, keys, lost connections, answers that are none.  What it
-- does as a folder does is in the other specifications.
local lynse = require "lynse"
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()

describe("a connection", function()
   local server

   setup(function() server = served.start() end)
   teardown(function() server:remove() end)

   local function code_of(_, err) return err and err.code end

   it("is made by host and port, by lynse:// and by a socket's path", function()
      for _, address in ipairs { server.host, "lynse://" .. server.host,
         "localhost:" .. server.port, server.address,
         (server.address:gsub("^unix:", "unix://")) } do
         local db = assert(lynse.connect(address, { database = "addresses" }))
         assert(db:require { name = "docs", dim = 1 })
         assert.are.same({ "docs" }, db:list())
         assert.is_true(db:close())
      end
   end)

   it("says what is wrong with an address, and where nobody listens", function()
      for _, address in ipairs { "", "http://127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:0", "a b:1",
         "127.0.0.1:65536", "unix:", "unix:/" .. ("x"):rep(200), "lynse://u@h:1", "a\0b",
         ("x"):rep(300), 5 } do
         assert.are.equal("INVALID", code_of(lynse.connect(address)))
      end
      local db, err = lynse.connect("unix:" .. server.folder .. "/nobody")
      assert.is_nil(db)
      assert.are.equal("IO", err.code)
      assert.are.equal(2, err.os_errno)
      assert.are.equal("IO", code_of(lynse.connect "host.invalid:7637"))
      for _, options in ipairs { { timeout = 0 }, { timeout = "1" }, { timeout = 1e9 },
         { api_key = "" }, { api_key = 5 }, { database = 5 } } do
         assert.are.equal("INVALID", code_of(lynse.connect(server.address, options)))
      end
      assert.has_error(function() lynse.connect(server.address, { key = "x" }) end)
      assert.has_error(function() lynse.connect(server.address, "key") end)
   end)

   it("is let in by the key, and not without it", function()
      local locked = served.start "--api-key secret"
      finally(function() locked:remove() end)
      assert.are.equal("UNAUTHORIZED", code_of(lynse.connect(locked.address)))
      assert.are.equal("UNAUTHORIZED", code_of(lynse.connect(locked.address, { api_key = "x" })))
      local db = assert(lynse.connect(locked.address, { api_key = "secret" }))
      assert(db:require { name = "docs", dim = 1 }:add { vectors = { { 1 } } })
      locked:stop "KILL"
      locked:run()
      assert.are.equal(1, assert(db:collection "docs"):count()) -- the key is given again
   end)

   it("is made anew after the server went away, by reads and by writes", function()
      local mortal = served.start()
      finally(function() mortal:remove() end)
      local db = assert(lynse.connect(mortal.address))
      local docs = assert(db:require { name = "docs", dim = 1 })
      assert(docs:add { vectors = { { 1 } } })
      mortal:stop "KILL"
      assert.are.equal("IO", code_of(docs:count()))
      assert.are.equal("IO", code_of(docs:add { vectors = { { 1 } } }))
      mortal:run()
      assert.are.equal(1, docs:count())
      mortal:stop()
      mortal:run()
      assert.is_nil(assert(docs:add { vectors = { { 1 } } }).is_repeat)
      assert.are.equal(2, docs:count())
   end)

   it("applies a write once whose answer was lost, and says what it cannot know", function()
      local address, stop = server:behind("pass", "pass", "lose", "pass", "lose", "pass", "close",
         "pass", "lose", "pass", "lose", "lose", "pass")
      finally(stop)
      local db = assert(lynse.connect(address, { database = "lost" }))
      local docs = assert(db:require { name = "docs", dim = 1 })
      local done = assert(docs:add { vectors = { { 1 }, { 2 } } })
      assert.is_true(done.is_repeat)
      assert.are.same({ 2, 0 }, { done.count, done.first_id })
      assert.are.equal(2, docs:count()) -- lost, and asked again
      done = assert(docs:delete(0))
      assert.is_nil(done.is_repeat) -- it had not come
      assert.are.equal(1, done.count)
      local none, err = docs:delete { where = "n IS NULL" } -- has no id: it is not sent again
      assert.is_nil(none)
      assert.are.equal("OUTCOME_UNKNOWN", err.code)
      assert.are.equal(0, docs:count())
      none, err = docs:upsert { ids = { 1 }, vectors = { { 1 } } }
      assert.is_nil(none)
      assert.are.equal("OUTCOME_UNKNOWN", err.code)
      assert.are.equal(1, docs:count())
   end)

   it("waits as long as it may, and no longer", function()
      local address, stop = server:behind("pass", "pass", "silent")
      finally(stop)
      local db = assert(lynse.connect(address, { timeout = 1, database = "silent" }))
      local docs = assert(db:require { name = "docs", dim = 1 })
      assert.are.equal("DEADLINE", code_of(docs:count()))
      assert.are.equal("OUTCOME_UNKNOWN",
         code_of(docs:add { vectors = { { 1 } }, timeout_us = 1000 }))
   end)

   it("takes answers in any pieces", function()
      local whole, stop = server:behind "drip:9401nnc081a964617461626173657391a161"
      finally(stop)
      local db = assert(lynse.connect(whole))
      assert.are.same({ "a" }, db:databases())
   end)

   it("tells answers that are none, and goes on with the next", function()
      local cases = {
         "c1", "93", "01", "9401nnc0c0", "9401nnc090", "9401nn90c0", "9401nnc0", "9400nnc080",
         "9401nn92a178a178c0", "9301a17880", "940100c080", "9401nnc08000", "9401cdc080",
         "9401nnc081c401788101", "9401nnc081a178",
         "9401nnc0ddffffffff", "9401nnc0c6ffffffff", "9401nnc0dfffffffff", "00",
         "9401nnc0" .. ("91"):rep(100) .. "c0", "9401nnc0" .. ("81a178"):rep(60) .. "c0",
         "9401nnc082a17801a17802", "474554202f20485454502f312e310d0a", "9401nnc0c7ffffff",
         "9401nn93d27fffffffa16080c0", "9401nn93cf7fffffffffffffffa16080c0", "9401nn930ca0a0c0",
      }
      local codes = {}
      for _, case in ipairs(cases) do
         local address, stop = server:behind("pass", "end:" .. case)
         local db = assert(lynse.connect(address))
         local list, err = db:databases()
         stop()
         assert.is_nil(list, case)
         codes[err.code] = (codes[err.code] or 0) + 1
      end
      assert.is_true(codes.INTERNAL >= 10 and codes.IO >= 5 and codes.TOO_LARGE >= 1
         and codes.LIMIT >= 1)
      local address, stop = server:behind("pass", "say:c1", "say:9401nn9304a26e6f80c0", "pass")
      finally(stop)
      local db = assert(lynse.connect(address))
      assert.are.equal("INTERNAL", code_of(db:databases()))
      local _, err = db:databases()
      assert.are.same({ "NOT_FOUND", "no" }, { err.code, err.text })
      assert(db:databases())
   end)

   it("survives answers of every damaged kind", function()
      local direct = assert(lynse.connect(server.address, { database = "damaged" }))
      assert(assert(direct:create { name = "docs", dim = 2 }):add {
         ids = { 1, "two", 3 }, vectors = { { 1, 2 }, { 3, 4 }, { 5, 6 } },
         fields = { { n = 1, deep = { { x = "y" } } }, nil, { at = lynse.datetime(0) } },
      })
      local seed = tonumber(os.getenv "LYNSE_TEST_SEED" or "") or os.time()
      local address, stop = server:behind("pass", "pass", "mangle:" .. seed)
      finally(stop)
      local db = assert(lynse.connect(address, { timeout = 30, database = "damaged" }))
      local docs = assert(db:collection "docs")
      local answered = 0
      for _ = 1, 150 do
         local calls = {
            function()
               return docs:search { queries = { { 1, 2 }, { 3, 4 } }, fields = true, vectors = true,
                  numbers = true }
            end,
            function() return docs:get({ 1, "two", 3 }, { vectors = true, numbers = true }) end,
            function() return docs:info() end,
            function() return docs:search { vector = { 1, 2 }, rerank = function() end } end,
            function() return docs:query("n > 0", { vectors = true }) end,
         }
         for _, call in ipairs(calls) do
            local done, result = pcall(call)
            assert(done, result)
            if result then answered = answered + 1 end
         end
      end
      assert.is_true(answered > 0, "LYNSE_TEST_SEED=" .. seed)
      collectgarbage()
   end)
end)

served.places("a database", function(open, place)
   local db

   before_each(function() db = assert(open()) end)
   after_each(function() db:close() end)

   it("is listed, made and dropped, and so are collections", function()
      assert(db:create "b")
      assert(db:require { name = "a", dim = 3, description = "what it is" })
      assert(db:create_database "other")
      assert.are.same({ "a", "b" }, db:list())
      assert.are.same({}, db:list "other")
      assert.are.equal("what it is", db:collection("a"):description())
      assert.is_true(db:exists "a")
      assert.is_true(db:drop "a")
      assert.is_false(db:exists "a")
      assert.are.equal("ALREADY_EXISTS", select(2, db:create "b").code)
      assert.are.equal("ALREADY_EXISTS", select(2, db:create_database "other").code)
      assert(db:create "other/c")
      assert.are.same({ "c" }, db:list "other")
      assert.is_true(db:drop_database "other")
      for _, name in ipairs(db:databases()) do assert.are_not.equal("other", name) end
      assert.are.equal("NOT_FOUND", select(2, db:collection "nowhere/c").code)
      assert.are.equal("NOT_FOUND", select(2, db:collection "c").code)
      assert.are.equal("INVALID", select(2, db:collection(5)).code)
      assert.are.equal("INVALID", select(2, db:create { name = "x", dim = -1 }).code)
      assert.are.equal("INVALID", select(2, db:create { name = "x", metric = "far" }).code)
      assert.are.equal("INVALID", select(2, db:create { dim = 1 }).code)
      assert.has_error(function() db:create { name = "x", size = 1 } end)
      assert.is_true(db:sync())
      assert.is_true(db:refresh())
      assert.is_false(lynse.poll(db, 100))
   end)

   it("that is closed raises, and so does what is of it", function()
      local docs, other = assert(db:create { name = "docs", dim = 1 }), assert(db:create "other")
      assert(docs:add { vectors = { { 1 }, { 2 } } })
      local walk = docs:each()
      walk()
      assert.is_true(other:close())
      assert.is_true(other:close())
      assert.has_error(function() other:count() end, "the collection is closed")
      assert.has_error(function() docs.count(db) end)
      assert.has_error(function() db.list(docs) end)
      assert.has_error(function() docs.search({}, { vector = { 1 } }) end)
      assert.are.equal("lynse.collection", getmetatable(docs))
      assert.is_true(db:close())
      assert.is_true(db:close())
      assert.has_error(function() db:list() end, "the database is closed")
      assert.has_error(function() docs:count() end, "the collection's database is closed")
      assert.has_error(function() docs:search { vector = { 1 } } end)
      walk() -- of the page that it has
      assert.has_error(walk, "the scan's database is closed")
   end)

   it("has writes that are not waited for, and searches in steps", function()
      local docs = assert(db:create { name = "docs", dim = 1, metric = "l2" })
      local ticket = assert(docs:add { vectors = { { 1 }, { 2 } }, wait = false })
      assert.are.same({ 2, 0 }, { ticket:wait().count, ticket:poll().first_id })
      ticket = assert(docs:add { ids = { 0 }, vectors = { { 1 } }, wait = false })
      local none, err = ticket:wait(10)
      assert.is_nil(none)
      assert.are.equal("ALREADY_EXISTS", err.code)
      assert.has_error(function() ticket:wait(-1) end)
      assert.has_error(function() docs:delete(0, { wait = "no" }) end)
      local search = assert(docs:begin_search { queries = { { 0 }, { 3 } }, rerank = "mmr" })
      local found
      repeat
         found, err = search:step(100)
      until found or err
      assert.are.same({ { 0, 1 }, { 1, 0 } }, { found[1].ids, found[2].ids })
      assert.has_error(function() search:step(1) end, "the search is over")
      search = assert(docs:begin_search { vector = { 0 } })
      search:cancel()
      search:cancel()
      assert.has_error(function() search:step(1) end, "the search is over")
   end)

   it("has walks over more than one page", function()
      local docs = assert(db:create { name = "docs", dim = 1 })
      local rows = { ids = {}, vectors = {}, fields = {} }
      for i = 1, 5000 do
         rows.ids[i], rows.vectors[i], rows.fields[i] = i, { i }, { n = i }
      end
      local done = assert(docs:add(rows))
      local sum = 0
      for id, fields, vector in docs:each { vectors = true } do
         assert(id == fields.n and id == vector[0])
         sum = sum + id
      end
      assert.are.equal(5000 * 5001 / 2, sum)
      local hits = assert(docs:query("n > 100", { limit = 4500 }))
      assert.are.same({ 4500, 101, 4600 }, { hits.count, hits.ids[1], hits.ids[4500] })
      assert.are.equal(done.lsn, hits.as_of_lsn)
      assert.are.equal(0, docs:query("n > 5000").count)
      assert.are.equal(5000, #docs:query(nil, { limit = 100000, fields = false }).ids)
      assert.are.equal(done.lsn, docs:search({ vector = { 1 }, range = 0 }).as_of_lsn)
   end)

   it("of a server says what a server does not do", function()
      if place == "memory" then return end
      local docs = assert(db:create { name = "docs", dim = 1 })
      for _, call in ipairs {
         function() return docs:search { vector = { 1 }, score = function() end } end,
         function() return docs:add { vectors = { { 1 } }, sync = "os" } end,
         function() return docs:set_sync "os" end,
         function() return db:create { name = "x", sync = "os" } end,
         function() return db:memory_bytes() end,
      } do
         local none, err = call()
         assert.is_nil(none)
         assert.are.equal("UNSUPPORTED", err.code)
      end
      assert.are.equal("UNSUPPORTED", select(2, pcall(docs.each, docs, { deleted = true })).code)
      assert.are.equal(0, docs:count())
   end)
end)
