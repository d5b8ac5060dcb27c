-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-invalid.lua: a comparator that always says yes.
-- ends: quietly
return function(n, distance, field, out)
   local t = {}
   for i = 1, 1000 do t[i] = i end
   pcall(table.sort, t, function() return true end)
   out[0] = #t
end
