-- SPDX-License-Identifier: Apache-2.0
-- insert-far.lua: places that are far away.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   pcall(table.insert, t, 2 ^ 40, 1)
   pcall(table.insert, t, -2 ^ 31, 1)
   pcall(table.remove, t, 2 ^ 40)
   out[0] = 1
end
