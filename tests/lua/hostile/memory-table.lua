-- SPDX-License-Identifier: Apache-2.0
-- memory-table.lua: a table that grows for ever.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   while true do t[#t + 1] = #t end
end
