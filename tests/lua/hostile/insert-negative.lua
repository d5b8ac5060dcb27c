-- SPDX-License-Identifier: Apache-2.0
-- insert-negative.lua: insert at a place far below, which would move much.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   while true do table.insert(t, -1e9, 1) end
end
