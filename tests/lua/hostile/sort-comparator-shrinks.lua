-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-shrinks.lua: a comparator that takes the table away.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   for i = 1, 100 do t[i] = i end
   table.sort(t, function(a, b)
      for i = 1, 100 do t[i] = nil end
      return a < b
   end)
end
