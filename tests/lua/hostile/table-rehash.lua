-- SPDX-License-Identifier: Apache-2.0
-- table-rehash.lua: a table that is full, one out and one in.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 4096 do t["k" .. i] = i end
   local i = 4096
   while true do
      t["k" .. (i - 4095)] = nil
      i = i + 1
      t["k" .. i] = i
   end
end
