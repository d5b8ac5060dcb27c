-- SPDX-License-Identifier: Apache-2.0
local lynse = require "lynse"

for _, mode in ipairs { "threads", "inline" } do
   describe("a write that is not waited for, with " .. mode, function()
      local db, docs, path

      before_each(function()
         path = os.tmpname()
         os.remove(path)
         db = assert(lynse.open(path, { mode = mode }))
         docs = assert(db:create { name = "docs", dim = 1, metric = "l2" })
      end)
      after_each(function()
         db:close()
         os.execute("rm -rf '" .. path .. "'")
      end)

      it("gives a ticket, whose answer is the write's", function()
         local ticket = assert(docs:add { vectors = { 1, 2 }, wait = false })
         local result = assert(ticket:wait())
         assert.are.equal(2, result.count)
         assert.are.equal(0, result.first_id)
         assert.is_true(result.lsn > 0)
         assert.are.same(result, ticket:wait(0))
         assert.are.same(result, (ticket:poll()))
         assert.are.equal(2, docs:count())
         assert.are.equal(1, docs:delete(0, { wait = false }):wait(10).count)
         assert.are.equal(1, docs:restore({ 0 }, { wait = false }):wait(10).count)
         assert.are.equal(1, docs:upsert({ ids = 0, vectors = { 5 }, wait = false }):wait().count)
         assert.is_nil(docs:upsert({ ids = 0, vectors = { 5 }, wait = false }):wait().first_id)
         assert.are.equal(1, docs:add({ vectors = { 5 }, wait = true }).count)
      end)

      it("says when it failed, and why", function()
         assert(docs:add { ids = { 1 }, vectors = { 1 } })
         local ticket = assert(docs:add { ids = { 1 }, vectors = { 1 }, wait = false })
         for _ = 1, 2 do
            local result, err = ticket:wait()
            assert.is_nil(result)
            assert.are.equal("ALREADY_EXISTS", err.code)
         end
         assert.are.equal("ALREADY_EXISTS", select(2, ticket:poll()).code)
         local none, refused = docs:add { ids = { 2 }, vectors = { 0 / 0 }, wait = false }
         assert.is_nil(none)
         assert.are.equal("INVALID", refused.code)
         assert.has_error(function() docs:add { vectors = { 1 }, wait = 5 } end)
         assert.has_error(function() docs:delete { where = "n > 0", wait = false } end)
         assert.has_error(function() ticket:wait(-1) end)
         assert.has_error(function() ticket:wait "long" end)
         assert.has_error(function() ticket.poll(docs) end)
      end)

      it("is done by polls, and told by poll", function()
         local tickets = {}
         for i = 1, 100 do
            tickets[i] = assert(docs:upsert { ids = { i }, vectors = { i }, sync = "os",
               wait = false })
         end
         local done = 0
         while done < 100 do
            db:poll(100)
            done = 0
            for i = 1, 100 do
               local result, err = tickets[i]:poll()
               assert.is_nil(err)
               if result then done = done + 1 end
            end
         end
         assert.are.equal(100, docs:count())
      end)

      it("may be forgotten, and is done all the same", function()
         for i = 1, 300 do assert(docs:upsert { ids = { i }, vectors = { i }, wait = false }) end
         collectgarbage()
         collectgarbage()
         assert(db:sync())
         assert.are.equal(300, docs:count())
      end)

      it("has its answer when the database is closed under it", function()
         local tickets = {}
         for i = 1, 200 do
            tickets[i] = assert(docs:upsert { ids = { i }, vectors = { i }, wait = false })
         end
         assert.is_true(db:close())
         for i = 1, 200 do
            local result, err = tickets[i]:wait()
            assert.is_true(result ~= nil or err.code == "SHUTTING_DOWN", tostring(err))
            assert.is_nil(tickets[i]:poll() == nil and err == nil or nil)
         end
         db = assert(lynse.open(path))
      end)

      it("outlives its collection and database in any order of the collector", function()
         for _ = 1, 30 do
            local root = assert(lynse.open(":memory:", { mode = mode }))
            local mine = assert(root:create { name = "docs", dim = 1 })
            local kept = assert(mine:add { vectors = { 1 }, wait = false })
            mine:add { vectors = { 1 }, wait = false }
            root, mine = nil, nil -- luacheck: ignore 311
            collectgarbage()
            kept:wait(5)
            kept = nil -- luacheck: ignore 311
            collectgarbage()
         end
      end)

      it("may be waited for in a function of a search", function()
         assert(docs:add { ids = { 1 }, vectors = { 1 } })
         local hits = assert(docs:search { vector = { 1 }, score = function()
            assert(assert(docs:upsert { ids = { 2 }, vectors = { 2 }, wait = false }):wait())
         end })
         assert.are.same({ 1 }, hits.ids)
         assert.are.equal(2, docs:count())
      end)
   end)
end

describe("a state with writes under way", function()
   it("closes", function()
      local program = os.getenv "LYNSE_PROGRAM"
      if not program then return end
      local script = os.tmpname()
      finally(function() os.remove(script) end)
      local file = assert(io.open(script, "w"))
      file:write [[
         local lynse = require "lynse"
         for _, mode in ipairs { "threads", "inline" } do
            local db = assert(lynse.open(":memory:", { mode = mode }))
            local docs = assert(db:create { name = "docs", dim = 64 })
            for i = 1, 200 do
               local t = docs:add { vectors = ("\0"):rep(64 * 4 * 100), wait = false }
               if i % 2 == 0 then _G["kept" .. i .. mode] = t end
            end
         end
         print "end"]]
      file:close()
      local pipe = assert(io.popen(("'%s' lua '%s'; echo $?"):format(program, script)))
      assert.are.equal("end\n0\n", pipe:read "*a")
      pipe:close()
   end)
end)
