-- SPDX-License-Identifier: Apache-2.0
-- served.lua: a server of the program that the suite names, and specifications that are run of a
-- folder and of it.
local lynse = require "lynse"

local served = {}
local program = os.getenv "LYNSE_PROGRAM"
local server = {}
server.__index = server

-- A server on a folder of its own, which listens when this answers.
function served.start(options)
   local folder = os.tmpname()
   os.remove(folder)
   os.execute("mkdir " .. folder)
   local self = setmetatable({ folder = folder, options = options or "", address =
      "unix:" .. folder .. "/socket" }, server)
   self:run()
   return self
end

function server:run()
   self.pipe = assert(io.popen(("echo $$; exec %s serve --data-dir %s/data --socket %s/socket "
      .. "--port %d %s 2>&1"):format(assert(program, "LYNSE_PROGRAM: which program"), self.folder,
      self.folder, self.port or 0, self.options)))
   self.pid = self.pipe:read "*l"
   local said
   repeat said = self.pipe:read "*l" until not said or not said:find '"level":"warn"'
   self.port = assert(said and said:match '"listening".-"port":(%d+)', said)
   self.host = "127.0.0.1:" .. self.port
end

-- KILL, or as a service is stopped.
function server:stop(signal)
   os.execute(("kill -%s %s"):format(signal or "TERM", self.pid))
   self.pipe:read "*a"
   self.pipe:close()
end

-- Between a client and this server: odd_server.py with its steps.  → its address, and what ends it
function server:behind(...)
   local socket = os.tmpname()
   os.remove(socket)
   local pipe = assert(io.popen(("echo $$; exec python3 tests/lua/module/odd_server.py %s "
      .. "%s/socket %s 2>&1"):format(socket, self.folder, table.concat({ ... }, " "))))
   local pid, said = pipe:read "*l", pipe:read "*l"
   assert(said == "ready", said)
   return "unix:" .. socket, function()
      os.execute("kill -KILL " .. pid .. "; rm -f " .. socket)
      pipe:close()
   end
end

function server:remove()
   self:stop()
   os.execute("rm -rf " .. self.folder)
end

-- describe `what` twice: body(open) with a function that opens an empty root.
function served.places(what, body)
   describe(what .. ", in memory", function()
      body(function() return lynse.open ":memory:" end, "memory")
   end)
   describe(what .. ", of a server", function()
      local running, count = nil, 0
      setup(function() running = served.start() end)
      teardown(function() running:remove() end)
      body(function()
         count = count + 1
         return lynse.connect(running.address, { database = "place" .. count })
      end, "server")
   end)
end

return served
