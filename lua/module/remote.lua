-- SPDX-License-Identifier: Apache-2.0
-- remote.lua: the functions of natives.h by the methods of a server (docs/METHODS.md), for
-- classes.lua, which does not notice the difference.  Here are roots and calls; remote_records.lua
-- and remote_search.lua add collections.
--
-- A handle is an empty table; what it stands for is in `state`, out of the program's reach.
-- Options are checked by the functions that check them without a server: the same is refused, in
-- the same words.  A write has the id of a request, the program's or a new one, so that it may be
-- sent again (remote.c).
local native = ...

local DEFAULT_PORT = 7637
local HOST_BYTES, PATH_BYTES, KEY_BYTES = 255, 107, 512
local TIMEOUT_S_MAX = 600

local remote = { failure = native.failure }

local function fail(code, text, ...)
   return nil, native.failure(code, select("#", ...) > 0 and text:format(...) or text)
end

local function unsupported(what)
   return function() return fail("UNSUPPORTED", what .. ": not by a server's methods") end
end

-- ---- Handles ----

local metatables = {}
for _, kind in ipairs { "root", "collection", "ticket" } do
   metatables[kind] = { __metatable = "lynse." .. kind }
end
local state = setmetatable({}, { __mode = "k" })

function remote.metatable(kind) return metatables[kind] end

local function new_handle(kind, known)
   local handle = setmetatable({}, metatables[kind])
   known.kind = kind
   state[handle] = known
   return handle
end

-- What a handle stands for; raises where it is none.
local function known_of(handle, kind)
   local known = state[handle]
   if not known or known.kind ~= kind then
      error(("lynse.%s expected, got %s"):format(kind, type(handle)), 0)
   end
   return known
end

local function root_of(handle)
   local root = known_of(handle, "root")
   if root.is_closed then error("the database is closed", 0) end
   return root
end

local function collection_of(handle)
   local collection = known_of(handle, "collection")
   if collection.root.is_closed then error("the collection's database is closed", 0) end
   if collection.is_closed then error("the collection is closed", 0) end
   return collection
end

-- ---- Calls ----

-- A text without a NUL; nil and an error.
local function check_text(value, what)
   if type(value) == "string" and not value:find("\0", 1, true) then return value end
   return fail("INVALID", "%s: must be a text%s", what,
      type(value) == "string" and " without a NUL" or "")
end

-- Whole numbers in any form, as numbers of Lua.
local function plain(value) return type(value) == "cdata" and tonumber(value) or value end

-- options: timeout_us of the call, as checked; is_write, hits and numbers as remote_call has them
local function call_root(root, method, params, options)
   options = options or {}
   local timeout_ms = root.timeout_ms
   if options.timeout_us then
      local us = tonumber(plain(options.timeout_us)) or 0
      if us > 0 then timeout_ms = math.min(math.ceil(us / 1000), TIMEOUT_S_MAX * 1000) end
   end
   params.timeout_ms = timeout_ms
   return native.remote_call(root.connection, method, params, {
      timeout_ms = timeout_ms, is_write = options.is_write, hits = options.hits,
      numbers = options.numbers, plain = options.plain,
   })
end

local function call(self, method, params, options)
   local collection = collection_of(self)
   params.database_name, params.collection_name = collection.database, collection.name
   return call_root(collection.root, method, params, options)
end

local WRITE = { is_write = true }

-- … of which only that it is done matters.
local function call_done(self, method, params)
   local answer, err = call(self, method, params or {}, WRITE)
   if not answer then return nil, err end
   return true
end

local function call_root_done(root, method, params)
   local answer, err = call_root(root, method, params, WRITE)
   if not answer then return nil, err end
   return true
end

-- A member of an answer, which has to be of that type.
local function take(member, kind, answer, err)
   if not answer then return nil, err end
   local value = answer[member]
   if type(value) == kind then return value end
   return fail("INTERNAL", "an answer whose %s is no %s", member, kind)
end

local function call_for(member, kind, self, method, params, options)
   return take(member, kind, call(self, method, params, options))
end

local function call_root_for(member, kind, root, method, params)
   return take(member, kind, call_root(root, method, params))
end

-- For remote_records.lua and remote_search.lua, too.
remote.tools = {
   fail = fail, check_text = check_text, plain = plain, call = call,
   call_done = call_done, call_for = call_for, take = take, known_of = known_of,
   new_handle = new_handle, collection_of = collection_of,
}

-- ---- Roots ----

-- host, port and path of an address; nil and an error.
local function parse(address)
   local path = address:match "^unix:(.*)$"
   if path then
      path = path:gsub("^///", "/")
      if path == "" or #path > PATH_BYTES then
         return fail("INVALID", "address: a socket's path has 1 to %d bytes", PATH_BYTES)
      end
      return "", 0, path
   end
   local scheme, rest = address:match "^(%a+)://(.*)$"
   if scheme and scheme:lower() ~= "lynse" then
      return fail("INVALID", "address: must be host:port, lynse://host:port or unix:/path")
   end
   rest = (rest or address):gsub("/$", "")
   local host, port = rest:match "^%[([%x:.%%%w]+)%](.*)$"
   if not host then host, port = rest:match "^([^:/@?#%s]+)(.*)$" end
   local number = port == "" and DEFAULT_PORT or port and tonumber(port:match "^:(%d%d?%d?%d?%d?)$")
   if not host or #host > HOST_BYTES or not number or number < 1 or number > 65535 then
      return fail("INVALID", "address: must be host:port, lynse://host:port or unix:/path")
   end
   return host, number, ""
end

local function check_connect(address, options)
   local text, err = check_text(address, "address")
   if not text then return nil, err end
   local timeout, key, database = options.timeout, options.api_key, options.database
   if timeout ~= nil and not (type(timeout) == "number" and timeout > 0
      and timeout <= TIMEOUT_S_MAX) then
      return fail("INVALID", "timeout: must be a number of seconds, at most %d", TIMEOUT_S_MAX)
   end
   if key ~= nil and not (type(key) == "string" and #key >= 1 and #key <= KEY_BYTES) then
      return fail("INVALID", "api_key: must be a text of 1 to %d bytes", KEY_BYTES)
   end
   return check_text(database == nil and "default" or database, "database")
end

-- A wrong address or key is told now.
function remote.open(address, options)
   local database, err = check_connect(address, options)
   if not database then return nil, err end
   local host, port, path = parse(address)
   if not host then return nil, port end
   local root = {
      connection = native.remote_connection(address, host, port, path, options.api_key),
      database = database,
      timeout_ms = math.ceil((options.timeout or TIMEOUT_S_MAX) * 1000),
   }
   local answer
   answer, err = call_root(root, "list_databases", {})
   if not answer then
      native.remote_close(root.connection)
      return nil, err
   end
   return new_handle("root", root)
end

function remote.close_root(self)
   local root = known_of(self, "root")
   root.is_closed = true
   return native.remote_close(root.connection)
end

-- "database/collection" as params.
local function names_of(root, name)
   local text, err = check_text(name, "name")
   if not text then return nil, err end
   local database, collection = text:match "^([^/]*)/(.*)$"
   return { database_name = database or root.database, collection_name = collection or text }
end

local function adopt(root, names)
   return new_handle("collection",
      { root = root, database = names.database_name, name = names.collection_name })
end

function remote.open_collection(self, name)
   local root = root_of(self)
   local names, err = names_of(root, name)
   if not names then return nil, err end
   local collection = adopt(root, names)
   local info
   info, err = call(collection, "collection_info", {})
   if not info then return nil, err end
   return collection
end

local function check_desc(desc)
   local done, err = native.check_create(desc)
   if not done then return nil, err end
   if desc.sync ~= nil or desc.sync_interval_ms ~= nil then
      return fail("UNSUPPORTED", "sync: a server decides for its collections")
   end
   return true
end

function remote.require_collection(self, desc)
   local root = root_of(self)
   local done, err = check_desc(desc)
   if not done then return nil, err end
   local names
   names, err = names_of(root, desc.name)
   if not names then return nil, err end
   local collection = adopt(root, names)
   done, err = call_done(collection, "required_collection", {
      dim = plain(desc.dim), metric = desc.metric and desc.metric:lower(),
      description = desc.description, dtypes = desc.storage and desc.storage:lower(),
   })
   if not done then return nil, err end
   return collection
end

function remote.create_collection(self, desc)
   local done, err = check_desc(desc)
   if not done then return nil, err end
   local is_there
   is_there, err = remote.collection_exists(self, desc.name)
   if is_there == nil then return nil, err end
   if is_there then return fail("ALREADY_EXISTS", "collection '" .. desc.name .. "' exists") end
   return remote.require_collection(self, desc)
end

function remote.drop_collection(self, name)
   local root = root_of(self)
   local names, err = names_of(root, name)
   if not names then return nil, err end
   return call_root_done(root, "drop_collection", names)
end

function remote.collection_exists(self, name)
   local root = root_of(self)
   local names, err = names_of(root, name)
   if not names then return nil, err end
   return call_root_for("exists", "boolean", root, "is_collection_exists", names)
end

function remote.list_collections(self, database)
   local root = root_of(self)
   local name, err = check_text(database == nil and root.database or database, "database")
   if not name then return nil, err end
   local names
   names, err = call_root_for("collections", "table", root, "show_collections",
      { database_name = name })
   if not names then return nil, err end
   return setmetatable(names, nil)
end

function remote.list_databases(self)
   local names, err = call_root_for("databases", "table", root_of(self), "list_databases", {})
   if not names then return nil, err end
   return setmetatable(names, nil)
end

function remote.create_database(self, name)
   local root = root_of(self)
   local text, err = check_text(name, "database")
   if not text then return nil, err end
   local is_there
   is_there, err = call_root_for("exists", "boolean", root, "database_exists",
      { database_name = name })
   if is_there == nil then return nil, err end
   if is_there then return fail("ALREADY_EXISTS", "database '" .. name .. "' exists") end
   return call_root_done(root, "create_database", { database_name = name })
end

function remote.drop_database(self, name)
   local root = root_of(self)
   local text, err = check_text(name, "database")
   if not text then return nil, err end
   return call_root_done(root, "drop_database", { database_name = name })
end

-- Each collection by itself.
function remote.sync_root(self)
   local root = root_of(self)
   local databases, err = remote.list_databases(self)
   if not databases then return nil, err end
   for _, database in ipairs(databases) do
      local names
      names, err = remote.list_collections(self, database)
      if not names then return nil, err end
      for _, name in ipairs(names) do
         local done
         done, err = call_root_done(root, "sync",
            { database_name = database, collection_name = name })
         if not done then return nil, err end
      end
   end
   return true
end

--- A server answers with what is there now.
function remote.refresh_root(self) return root_of(self) and true end

--- A server works by itself.
function remote.poll(self)
   root_of(self)
   return false
end

remote.memory_bytes = unsupported "memory_bytes"

return remote
