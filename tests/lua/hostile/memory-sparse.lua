-- SPDX-License-Identifier: Apache-2.0
-- memory-sparse.lua: a huge key must not make a huge table.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   t[2 ^ 40] = 1
   t[2 ^ 31] = 1
   t[-2 ^ 31] = 1
   t[1e308] = 1
   t[0 / 0] = 1
end
