-- SPDX-License-Identifier: Apache-2.0
-- string-concat-separator.lua: concat with a large separator.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   for i = 1, 1000 do t[i] = "" end
   return table.concat(t, ("x"):rep(60000))
end
