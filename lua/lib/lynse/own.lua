-- SPDX-License-Identifier: Apache-2.0
-- own.lua: methods of the operator's own, out of the files of <scripts>/rpc.
--
-- Each file is run once, with a guard (server/method_guard.h), in an environment of its own: what
-- it makes global is global to no other, and all else is as the server's scripts have it.
local method_table = require "lynse.method_table"
local native = require "lynse.native"

local own = {}

local is_stopped = native.is_stopped

-- What was stopped stays so.
local function pass(ok, ...)
   if not ok and is_stopped() then error((...), 0) end
   return ok, ...
end

local function handle(handler, ok, ...)
   if ok then return ok, ... end
   return ok, handler(...)
end

local function make_environment()
   local made = {}
   function made.pcall(call, ...) return pass(pcall(call, ...)) end

   -- The handler comes after the error, not inside of it, where it could not be stopped.
   function made.xpcall(call, handler, ...) return handle(handler, pass(pcall(call, ...))) end

   made._G = made
   return setmetatable(made, { __index = _G })
end

-- The file and the line of its last `return` that begins one: where the table is.
local function place_of(entry)
   local line, found = 0, nil
   for text in (entry.source .. "\n"):gmatch "(.-)\n" do
      line = line + 1
      if text:match "^return%f[^%w_]" then found = line end
   end
   return found and ("%s:%d"):format(entry.file, found) or entry.file
end

local function run_file(entry)
   if entry.source:find("\27", 1, true) then error(entry.file .. ": is no text", 0) end
   local chunk, why = loadstring(entry.source, "@" .. entry.file)
   if not chunk then error(why, 0) end
   setfenv(chunk, make_environment())
   local ok, method = pcall(native.call_guarded, chunk)
   if ok then return method end
   local text = tostring(method)
   error(text:find(entry.file, 1, true) and text or entry.file .. ": " .. text, 0)
end

-- add(name, method, file, place) for each, checked.
function own.add_all(add)
   for _, entry in ipairs(native.own_methods()) do
      local method, place = run_file(entry), place_of(entry)
      if type(method) == "table" then
         method.arguments = method.arguments or {}
         method.returns = method.returns or {}
      end
      method_table.check(method, place)
      method.is_own = true
      add(entry.name, method, entry.file, place)
   end
end

return own
