-- SPDX-License-Identifier: Apache-2.0
-- string-tonumber-loop.lua: tonumber of spaces.
-- ends: stopped
return function(n, distance, field, out)
   local s = (" "):rep(60000)
   local long = s .. s .. s .. "1"
   while true do tonumber(long) end
end
