-- SPDX-License-Identifier: Apache-2.0
-- lynse.lua: the module as a program sees it, over the functions of C beside it (natives.h) and
-- those of a server (remote.lua), whose databases and collections are the same (classes.lua).
local native, arrays, remote, classes = ...

setmetatable(native, { __index = function(_, name) error("there is no native." .. name, 2) end })
setmetatable(remote, { __index = function(_, name) error("there is no remote." .. name, 2) end })
classes(native, arrays)
classes(remote, arrays)

local lynse = {
   version = native.version,
   simd_level = native.simd_level,
   null = native.null,
   integer = native.integer,
   datetime = native.datetime,
   bytes = native.bytes,
   array = native.array,
}

local function names_of(words)
   local set = {}
   for word in words:gmatch "%S+" do set[word] = true end
   return set
end

local OPEN = names_of [[read_only immutable no_create network_fs poll_may_sync trusted_scripts mode
   sync sync_interval_ms actor_threads search_threads job_threads memory_budget_bytes seed
   low_water_bytes no_recall]]
local CONNECT = names_of "api_key timeout database"

-- Raise, at the line of the program, what is wrong about the options.
local function check(what, options, allowed)
   if type(options) ~= "table" then
      error(("%s: a table of options expected, not a %s"):format(what, type(options)), 3)
   end
   for name in next, options do
      if not allowed[name] then
         error(("%s: there is no option '%s'"):format(what, tostring(name)), 3)
      end
   end
end

--- lynse.open(path [, options]) → db
function lynse.open(path, options)
   options = options or {}
   check("open", options, OPEN)
   return native.open(path, options)
end

--- lynse.connect(address [, {api_key =, timeout = 600, database = "default"}]) → db
--- address: "host:port", "lynse://host:port", "unix:/path"
function lynse.connect(address, options)
   options = options or {}
   check("connect", options, CONNECT)
   return remote.open(address, options)
end

function lynse.poll(db, budget_us) return db:poll(budget_us) end

return lynse
