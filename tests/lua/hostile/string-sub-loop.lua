-- SPDX-License-Identifier: Apache-2.0
-- string-sub-loop.lua: pieces of a long text.
-- ends: stopped
return function(n, distance, field, out)
   local s = ("x"):rep(60000)
   while true do for i = 1, 60000 do s:sub(i) end end
end
