-- SPDX-License-Identifier: Apache-2.0
-- sort-large.lua: large tables in the order that is worst for a quicksort, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 20000 do t[i] = i % 2 == 0 and i or -i end
   while true do table.sort(t) end
end
