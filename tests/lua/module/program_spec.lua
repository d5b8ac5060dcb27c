-- SPDX-License-Identifier: Apache-2.0
-- The program lynse, which the suite names in LYNSE_PROGRAM.
local program = assert(os.getenv "LYNSE_PROGRAM", "LYNSE_PROGRAM: which program is to be tried")

-- What it says, on both ways, and whether it ended well.
local function run(arguments, script)
   local path = os.tmpname()
   if script then
      local file = assert(io.open(path, "w"))
      file:write(script)
      file:close()
   end
   local pipe = io.popen(("%s %s 2>&1; echo status $?"):format(program,
      arguments:gsub("SCRIPT", path)))
   local said = pipe:read "*a"
   pipe:close()
   os.remove(path)
   local text, status = said:match "^(.*)status (%d+)\n$"
   return text, tonumber(status)
end

describe("lynse lua", function()
   it("runs a script that has its arguments and the module", function()
      local text, status = run("lua SCRIPT one 'two three'", [[
         local lynse = require "lynse"
         print(#arg, arg[0] ~= nil, lynse.open(":memory:"):close(), ...)]])
      assert.are.equal("2\ttrue\ttrue\tone\ttwo three\n", text)
      assert.are.equal(0, status)
   end)

   it("says where a script failed, and ends so", function()
      local text, status = run("lua SCRIPT", "local function f() error 'no' end\nf()")
      assert.is_truthy(text:find(":1: no\nstack traceback:", 1, true), text)
      assert.are.equal(1, status)
      text, status = run("lua SCRIPT", [[
         error(select(2, require "lynse".open "/proc/none/there"))]])
      assert.is_truthy(text:find("^lynse: [A-Z_]+: ", 1), text)
      assert.are.equal(1, status)
      text = run("lua SCRIPT", "error({})")
      assert.is_truthy(text:find("a table", 1, true), text)
      text, status = run("lua SCRIPT", "x = = 1")
      assert.is_truthy(text:find("unexpected symbol", 1, true), text)
      assert.are.equal(1, status)
      text, status = run "lua /nowhere/to/be.lua"
      assert.is_truthy(text:find("/nowhere/to/be.lua", 1, true), text)
      assert.are.equal(1, status)
   end)

   it("ends where a function of a search ends it", function()
      local text, status = run("lua SCRIPT", [[
         local db = require "lynse".open ":memory:"
         local docs = db:create { name = "docs", dim = 1 }
         docs:add { vectors = { { 1 } } }
         docs:search { vector = { 1 }, score = function() os.exit(3, true) end }]])
      assert.are.equal("", text)
      assert.are.equal(3, status)
   end)

   it("explains itself", function()
      for _, arguments in ipairs { "", "lua", "scripts", "version 2" } do
         local text, status = run(arguments)
         assert.is_truthy(text:find("lynse lua SCRIPT", 1, true))
         assert.are.equal(2, status)
      end
      assert.are.equal(0, (select(2, run "help")))
      local text, status = run "version"
      assert.is_truthy(text:find "^%d+%.%d+%.%d+\n$")
      assert.are.equal(0, status)
   end)
end)
