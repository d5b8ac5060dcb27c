-- SPDX-License-Identifier: Apache-2.0
-- memory-varargs.lua: more values than the stack holds.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   for i = 1, 10000 do t[i] = i end
   return select("#", unpack(t))
end
