-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-grows.lua: a comparator that adds to the table.
-- ends: stopped
return function(n, distance, field, out)
   local t = { 3, 2, 1 }
   while true do table.sort(t, function(a, b) t[#t + 1] = #t return a < b end) end
end
