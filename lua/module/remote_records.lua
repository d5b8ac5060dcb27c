-- SPDX-License-Identifier: Apache-2.0
-- remote_records.lua: collections by the methods of a server: what they are, their hooks, writes
-- and reads.
local native, _, remote = ...

local PAGE_ROWS = 2000 -- of a walk over everything
local PAGE_SHRINKS = 4 -- when a page is too large for one answer
local NO_ID = ("\0"):rep(16)
local WRITE = { is_write = true }

local tools = remote.tools
local fail, check_text, call, call_done = tools.fail, tools.check_text, tools.call, tools.call_done
local call_for, known_of, new_handle = tools.call_for, tools.known_of, tools.new_handle
local collection_of, take = tools.collection_of, tools.take

function remote.close_collection(self)
   known_of(self, "collection").is_closed = true
   return true
end

local function or_empty(value) return type(value) == "string" and value or "" end

function remote.info(self)
   local info, err = call(self, "collection_info", {})
   local dim
   dim, err = take("dim", "number", info, err)
   if not dim then return nil, err end
   info.database_name, info.collection_name, info.description = nil, nil, nil
   if info.max_id ~= -1 then info.max_int_id = info.max_id end
   info.max_id = nil
   for _, name in ipairs { "recall_measured", "recall_measured_at" } do
      if type(info[name]) ~= "number" then info[name] = nil end
   end
   info.metric, info.index_mode = or_empty(info.metric), or_empty(info.index_mode)
   info.index_failure = or_empty(info.index_failure)
   if or_empty(info.index_failure_code) == "" then info.index_failure_code = nil end
   return info
end

function remote.description(self)
   local info, err = call(self, "collection_info", {})
   if not info then return nil, err end
   local text = or_empty(info.description)
   return { text ~= "" and text or nil }
end

function remote.describe(self, text)
   local checked, err = check_text(text == nil and "" or text, "description")
   if not checked then return nil, err end
   return call_done(self, "update_collection_description", { description = checked })
end

function remote.list_fields(self)
   local names, err = call_for("fields", "table", self, "list_fields", {})
   if not names then return nil, err end
   return setmetatable(names, nil)
end

function remote.verify(self, level)
   local text, err = check_text(level == nil and "full" or level, "level")
   if not text then return nil, err end
   local report
   report, err = call(self, "verify", { level = text })
   if not report then return nil, err end
   return {
      findings = setmetatable(report.findings, nil), indexes = setmetatable(report.indexes, nil),
   }
end

function remote.flush(self) return call_done(self, "flush") end
function remote.checkpoint(self) return call_done(self, "checkpoint") end
function remote.remove_index(self) return call_done(self, "remove_index") end

function remote.sync_collection(self)
   return call_for("durable_lsn", "number", self, "sync", {}, WRITE)
end

function remote.set_sync(self, options)
   collection_of(self)
   local done, err = native.check_create(options)
   if not done then return nil, err end
   return fail("UNSUPPORTED", "sync: a server decides for its collections")
end

function remote.build_index(self, mode, params, wait)
   local text, err = check_text(mode, "mode")
   if not text then return nil, err end
   if params ~= nil and type(params) ~= "table" then
      return fail("INVALID", "params: must be a table, not %s", type(params))
   end
   if wait ~= nil and type(wait) ~= "boolean" then
      return fail("INVALID", "wait: must be true or false")
   end
   return call_done(self, "build_index", {
      index_mode = mode, params = params and { "document", params }, wait = wait,
   })
end

-- ---- Hooks ----

function remote.set_hook(self, point, source, options)
   for _, given in ipairs { { point, "point" }, { source, "source" },
      { options.on_failure or "fail", "on_failure" } } do
      local text, err = check_text(given[1], given[2])
      if not text then return nil, err end
   end
   local kept = options.options
   return call_for("version", "number", self, "set_hook", {
      point = point, source = source, on_failure = options.on_failure,
      options = kept and { "document", kept },
   }, WRITE)
end

function remote.drop_hook(self, point)
   local text, err = check_text(point, "point")
   if not text then return nil, err end
   return call_done(self, "drop_hook", { point = point })
end

function remote.hooks(self)
   local list, err = call_for("hooks", "table", self, "list_hooks", {})
   if not list then return nil, err end
   local hooks = {}
   for _, hook in ipairs(list) do
      local point = type(hook) == "table" and hook.point
      if type(point) ~= "string" then return fail("INTERNAL", "a hook that is none") end
      hooks[point], hook.point = hook, nil
      if type(hook.options) ~= "table" then hook.options = {} end
   end
   return hooks
end

-- ---- Writes ----

local function hex(id)
   return (id:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- A write of records is done when its answer has come: so it is with a ticket.
local function written(self, method, params, options)
   local answer, err = call(self, method, params,
      { is_write = true, timeout_us = options.timeout_us })
   local count
   count, err = take("row_count", "number", answer, err)
   local done = count and {
      lsn = answer.lsn, count = count, sync = answer.sync,
      is_repeat = answer.is_repeat or nil, first_id = answer.first_id,
   } or nil
   if options.is_ticket then return new_handle("ticket", { done = done, err = err }) end
   return done, err
end

local function check_write(self, options)
   collection_of(self)
   local done, err = native.check_write(options)
   if not done then return nil, err end
   if options.sync ~= nil then
      return fail("UNSUPPORTED", "sync: a server decides for its collections")
   end
   return true
end

-- The id of the write's request; a new one where the program gives none.
local function id_of(options)
   local given = options.request_id
   return hex(given and given ~= NO_ID and given or native.request_id())
end

local function write_rows(method)
   return function(self, rows, vectors, ids)
      local done, err = check_write(self, rows)
      if not done then return nil, err end
      local fields, count = rows.fields, vectors[1].count
      local id_count = ids and (ids[1] and #ids[1] or ids[2].count) or count
      if id_count ~= count then
         return fail("INVALID", "ids: %.0f for %.0f vectors", id_count, count)
      end
      return written(self, method, {
         ids = ids and { "ids", ids }, vectors = { "vectors", vectors },
         fields = fields and { "documents", fields, count }, request_id = id_of(rows),
      }, rows)
   end
end
remote.add, remote.upsert = write_rows "add", write_rows "upsert"

local function write_ids(method)
   return function(self, ids, options)
      local done, err = check_write(self, options)
      if not done then return nil, err end
      return written(self, method, { ids = { "ids", ids }, request_id = id_of(options) }, options)
   end
end
remote.delete_ids, remote.restore = write_ids "delete", write_ids "restore"

-- One that is sent again deletes what matches then, unless the program gives it an id: for its id
-- alone a server would bound it.
function remote.delete_where(self, where, options)
   local done, err = check_write(self, options)
   if not done then return nil, err end
   local text
   text, err = check_text(where, "where")
   if not text then return nil, err end
   local given = options.request_id
   return written(self, "delete",
      { where = where, request_id = given and given ~= NO_ID and hex(given) or nil }, options)
end

--- ticket:wait([seconds]), ticket:poll(): the answer has come with the ticket
function remote.ticket_poll(self)
   local ticket = known_of(self, "ticket")
   return ticket.done, ticket.err
end

function remote.ticket_wait(self, seconds)
   if seconds ~= nil and not (type(seconds) == "number" and seconds >= 0 and seconds <= 600) then
      error("0 to 600 seconds expected", 2)
   end
   return remote.ticket_poll(self)
end

-- ---- Reads ----

function remote.exists(self, id)
   return call_for("is_id_exists", "boolean", self, "is_id_exists", { id = { "id", id } })
end

function remote.count(self, where)
   if where ~= nil then
      local text, err = check_text(where, "where")
      if not text then return nil, err end
   end
   return call_for("count", "number", self, "count", { where = where })
end

-- The hits of a method that asks once.
local function hits_of(self, method, params, options)
   params.raw = true
   local found, err = call(self, method, params, options)
   if not found then return nil, err end
   return found[1]
end

function remote.get(self, ids, options)
   local done, err = native.check_read(options)
   if not done then return nil, err end
   return hits_of(self, "get", {
      ids = { "ids", ids }, return_fields = options.fields or false,
      return_vectors = options.vectors or false,
   }, { hits = "items", numbers = options.numbers })
end

local function next_page(scan, rows)
   local options = scan.options
   local params = { limit = rows, offset = scan.offset }
   local method, hits = "query", "result"
   if options.deleted then
      method, hits = "list_deleted_ids", "ids"
   else
      params.where = options.where
      if options.vectors then method = "query_vectors"
      else params.return_ids_only = not options.fields end
   end
   local page, err = hits_of(scan.collection, method, params, { hits = hits })
   if page and not options.fields then page.fields = nil end
   return page, err
end

-- One answer is of one version; so a walk with a limit asks for all of it at once.
local function fetch(scan)
   local limit = scan.options.limit or math.huge
   while true do
      local rows = math.min(scan.rows, limit - scan.offset)
      local page, err = next_page(scan, rows)
      if page then
         scan.offset = scan.offset + page.count
         scan.is_last = page.count < rows or scan.offset >= limit
         return page
      end
      if err.code ~= "TOO_LARGE" and err.code ~= "LIMIT" or scan.rows < PAGE_SHRINKS then
         return nil, err
      end
      scan.rows = math.floor(scan.rows / PAGE_SHRINKS)
   end
end

function remote.scan(self, options)
   local done, err = native.check_read(options)
   if not done then return nil, err end
   if options.deleted and (options.fields or options.vectors) then
      return fail("UNSUPPORTED",
         "deleted: a server's methods give ids alone; ask with fields = false")
   end
   local scan = { collection = self, options = options, offset = 0,
      rows = options.limit or PAGE_ROWS }
   scan.page, err = fetch(scan)
   if not scan.page then return nil, err end
   return scan
end

-- As many as one answer had, and no more than the limit in all.
function remote.scan_next(scan)
   if known_of(scan.collection, "collection").root.is_closed then
      error("the scan's database is closed", 0)
   end
   local page, err = scan.page, nil
   scan.page = nil
   if not page and scan.is_last then return { count = 0, ids = {} } end
   if not page then page, err = fetch(scan) end
   if not page then return nil, err end
   return page
end

function remote.scan_end(scan) scan.is_last, scan.page = true, nil end
