-- SPDX-License-Identifier: Apache-2.0
-- memory-hash.lua: keys that are kept.
-- ends: stopped
return function(n, distance, field, out)
   local t, i = {}, 0
   while true do i = i + 1 t["k" .. i] = i end
end
