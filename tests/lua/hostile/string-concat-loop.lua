-- SPDX-License-Identifier: Apache-2.0
-- string-concat-loop.lua: concat of many, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 5000 do t[i] = "abcdefgh" end
   while true do table.concat(t) end
end
