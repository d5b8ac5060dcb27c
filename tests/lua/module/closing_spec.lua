-- SPDX-License-Identifier: Apache-2.0
-- Programs whose own functions close the database where a call of the module runs them.
local lynse = require "lynse"
local served = setfenv(assert(loadfile "tests/lua/module/served.lua"), getfenv())()
local ffi = require "ffi"

served.places("a database that is closed in the middle of a call", function(open)
   local db, docs, scan, stepped

   before_each(function()
      db = assert(open())
      docs = assert(db:create { name = "docs", dim = 1, metric = "l2" })
      assert(docs:add { ids = { 1, 2, "a" }, vectors = { { 1 }, { 2 }, { 3 } },
         fields = { { n = 1 }, { n = 2 } } })
      scan = docs:each()
      scan()
      stepped = assert(docs:begin_search { vector = { 1 } })
   end)
   after_each(function() db:close() end)

   local function close() db:close() end
   local function closing(text)
      return function()
         close()
         return text
      end
   end
   local handlers = {
      __tostring = closing "5", __index = closing(nil), __len = closing(1), __eq = closing(true),
      __lt = closing(true), __le = closing(true), __call = closing(1), __concat = closing "5",
      __unm = closing(5), __add = closing(5), __gc = close,
   }
   local struct_type = ffi.metatype("struct { uint64_t value; }", handlers)
   local odd = {
      cdata = function() return struct_type(5) end,
      -- luacheck: ignore 143
      userdata = function()
         local made = newproxy(true) -- luacheck: ignore 113
         for name, handler in pairs(handlers) do getmetatable(made)[name] = handler end
         return made
      end,
      table = function() return setmetatable({}, handlers) end,
   }

   -- Each call gets a value whose functions close; it may answer or raise, but comes back.
   local calls = {
      get = function(v) return docs:get { v } end,
      get_one = function(v) return docs:get(v) end,
      get_options = function(v) return docs:get(1, { fields = v }) end,
      exists = function(v) return docs:exists(v) end,
      count = function(v) return docs:count(v) end,
      delete = function(v) return docs:delete { 1, v } end,
      delete_where = function(v) return docs:delete { where = v } end,
      delete_sync = function(v) return docs:delete(1, { sync = v }) end,
      delete_timeout = function(v) return docs:delete(1, { timeout_us = v, wait = false }) end,
      restore = function(v) return docs:restore { v } end,
      add_ids = function(v) return docs:add { ids = { v }, vectors = { { 1 } } } end,
      add_id = function(v) return docs:add { ids = v, vectors = { { 1 } } } end,
      add_vectors = function(v) return docs:add { vectors = v } end,
      add_row = function(v) return docs:add { vectors = { v } } end,
      add_component = function(v) return docs:add { vectors = { { v } } } end,
      add_fields = function(v) return docs:add { vectors = { { 1 } }, fields = v } end,
      add_field = function(v) return docs:add { vectors = { { 1 } }, fields = { { x = v } } } end,
      add_item = function(v)
         return docs:add { vectors = { { 1 } }, fields = { { x = { v } } } }
      end,
      add_sync = function(v) return docs:add { vectors = { { 1 } }, sync = v } end,
      add_timeout = function(v) return docs:add { vectors = { { 1 } }, timeout_us = v } end,
      add_ticket = function(v)
         return docs:add { vectors = { { 1 } }, fields = { { x = v } }, wait = false }
      end,
      upsert = function(v) return docs:upsert { ids = { 1 }, vectors = { { 1 } }, dim = v } end,
      search = function(v) return docs:search { vector = v } end,
      search_k = function(v) return docs:search { vector = { 1 }, k = v } end,
      search_where = function(v) return docs:search { vector = { 1 }, where = v } end,
      search_range = function(v) return docs:search { vector = { 1 }, range = v } end,
      search_dim = function(v) return docs:search { vector = { 1 }, dim = v } end,
      search_score = function(v) return docs:search { vector = { 1 }, score = v } end,
      search_rerank = function(v) return docs:search { vector = { 1 }, rerank = function()
         return v
      end } end,
      search_hit = function(v) return docs:search { vector = { 1 }, rerank = function()
         return { v }
      end } end,
      search_raise = function(v) return docs:search { vector = { 1 }, score = function()
         error(v)
      end } end,
      search_options = function(v) return docs:search { vector = { 1 }, rerank = "boost",
         rerank_options = { field = v, [v] = v } } end,
      search_hooks = function(v) return docs:search { vector = { 1 }, hooks = v } end,
      set_hook = function(v) return docs:set_hook("rerank", "boost", { options = { x = v } }) end,
      set_hook_text = function(v) return docs:set_hook(v, v, { on_failure = v }) end,
      drop_hook = function(v) return docs:drop_hook(v) end,
      begin = function(v) return docs:begin_search { vector = { 1 }, timeout_us = v } end,
      begin_options = function(v) return docs:begin_search { vector = { 1 }, rerank = "boost",
         rerank_options = { field = v } } end,
      step = function(v) return stepped:step(v) end,
      query = function(v) return docs:query(v) end,
      query_limit = function(v) return docs:query("n > 0", { limit = v }) end,
      each = function(v) return docs:each { where = v } end,
      scan_next = function(v) return scan(v) end,
      set_sync = function(v) return docs:set_sync("os", v) end,
      describe = function(v) return docs:describe(v) end,
      build_index = function(v) return docs:build_index(v) end,
      poll = function(v) return db:poll(v) end,
      create = function(v) return db:create { name = "x", dim = v } end,
      create_name = function(v) return db:create(v) end,
      require = function(v) return db:require { name = v } end,
      collection = function(v) return db:collection(v) end,
      list = function(v) return db:list(v) end,
      integer = function(v) return lynse.integer(v) end,
      datetime = function(v) return lynse.datetime(v) end,
   }
   for name, call in pairs(calls) do
      for kind, make in pairs(odd) do
         it(("ends the call: %s, by a %s"):format(name, kind), function()
            local done, err = pcall(call, make())
            assert.is_true(done or err ~= nil)
            collectgarbage()
            db:close()
            assert.has_error(function() docs:count() end)
         end)
      end
   end

   -- Whatever allocates may run a finalizer, which closes.
   local function leave_garbage(kind)
      for _ = 1, 50 do odd[kind]() end
   end
   local plain = {
      get = function() return docs:get({ 1, "a", 2ULL }, { vectors = true, numbers = true }) end,
      add = function()
         return docs:add { vectors = { { 1 } }, fields = { { x = { "y", { z = 1 } } } } }
      end,
      upsert = function() return docs:upsert { ids = { "b", 5LL }, vectors = { { 1 }, { 2 } } } end,
      ticket = function() return docs:delete({ "a" }, { wait = false }) end,
      search = function()
         return docs:search { vector = { 1 }, fields = true, vectors = true, where = "n > 0" }
      end,
      scored = function()
         return docs:search { vector = { 1 }, score = function(n, _, f, out)
            for i = 0, n - 1 do out[i] = f.n[i] end
         end, rerank = function() end }
      end,
      set_hook = function()
         return docs:set_hook("rerank", "boost", { options = { field = "n" } })
      end,
      hooks = function() return docs:hooks() end,
      drop_hook = function() return docs:drop_hook "rerank" end,
      options = function()
         return docs:search { vector = { 1 }, rerank = "boost", rerank_options = { field = "n" } }
      end,
      step = function() return stepped:step(1e6) end,
      begin = function() return docs:begin_search { vector = { 1 }, score = function() end } end,
      query = function() return docs:query "n > 0" end,
      each = function() for _ in docs:each() do leave_garbage "userdata" end end,
      scan_next = function() return scan() end,
      list = function() return db:list() end,
      databases = function() return db:databases() end,
      fields = function() return docs:list_fields() end,
      verify = function() return docs:verify "deep" end,
      info = function() return docs:info() end,
      create = function() return db:create { name = "x", description = "what it is" } end,
      collection = function() return db:collection "docs" end,
   }
   for name, call in pairs(plain) do
      for _, kind in ipairs { "cdata", "userdata" } do
         it(("ends the call: %s, by a finalizer of a %s"):format(name, kind), function()
            local pause, step = collectgarbage("setpause", 1), collectgarbage("setstepmul", 100)
            for size = 1, 60 do -- so that the collector is at another place each time
               local kept = {}
               for i = 1, size do kept[i] = {} end
               assert.are.equal(size, #kept)
               leave_garbage(kind)
               pcall(call)
               if not pcall(docs.count, docs) then break end
            end
            collectgarbage("setpause", pause)
            collectgarbage("setstepmul", step)
            collectgarbage()
            assert.is_true(db:close())
         end)
      end
   end

   it("ends the call by a hook of debug", function()
      for _, call in pairs { calls.get, calls.add_ids, calls.add_field, calls.exists } do
         local root = assert(open())
         db, docs = root, assert(root:create { name = "docs", dim = 1 })
         local lines = 0
         debug.sethook(function()
            lines = lines + 1
            if lines == 12 then close() end
         end, "l")
         pcall(call, 5ULL)
         debug.sethook()
         db:close()
      end
   end)

   it("keeps the texts of a call that takes them out of its list", function()
      local ids = { "one", "two", 5ULL }
      local kind = ffi.metatype("struct { int x; }", {
         __gc = function() ids[1], ids[2] = nil, nil end,
      })
      for _ = 1, 200 do
         ids[1], ids[2] = "one" .. math.random(), "two" .. math.random()
         kind()
         local hits = docs:get(ids)
         assert.is_true(hits == nil or hits.count <= 3)
      end
   end)
end)

describe("an integer of the FFI", function()
   it("is known by its type, and no other cdata is one", function()
      assert.are.equal("9007199254740993", tostring(lynse.integer(9007199254740993LL)))
      assert.are.equal(-5, lynse.integer(-5LL))
      local lying = ffi.metatype("struct { int y; }", { __tostring = function() return "7" end })
      for _, value in ipairs { lying(), ffi.new "int32_t", ffi.new "int[1]", ffi.typeof "uint64_t",
         ffi.new "uint64_t[1]", ffi.cast("void *", nil), 3i } do
         assert.is_nil((lynse.integer(value)))
      end
   end)
end)
