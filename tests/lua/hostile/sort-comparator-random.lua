-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-random.lua: a comparator that says anything.
-- ends: quietly
return function(n, distance, field, out)
   local t, x = {}, 1
   for i = 1, 1000 do t[i] = i end
   pcall(table.sort, t, function() x = x * 16807 % 2147483647 return x % 2 == 0 end)
   out[0] = #t
end
