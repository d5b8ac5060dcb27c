-- SPDX-License-Identifier: Apache-2.0
-- string-concat-large.lua: concat to more than one text may have.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   for i = 1, 100 do t[i] = ("x"):rep(1000) end
   return table.concat(t)
end
