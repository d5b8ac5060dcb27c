-- SPDX-License-Identifier: Apache-2.0
-- memory-keep-large.lua: large texts until the memory is used up.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 1e6 do t[i] = ("x"):rep(60000) .. i end
end
