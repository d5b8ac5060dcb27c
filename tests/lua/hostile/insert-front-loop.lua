-- SPDX-License-Identifier: Apache-2.0
-- insert-front-loop.lua: insert at the front of a long table.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 20000 do t[i] = i end
   while true do table.insert(t, 1, 0) table.remove(t) end
end
