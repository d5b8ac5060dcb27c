-- SPDX-License-Identifier: Apache-2.0
-- remove-front-loop.lua: remove at the front of a long table.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 20000 do t[i] = i end
   while true do t[#t + 1] = table.remove(t, 1) end
end
