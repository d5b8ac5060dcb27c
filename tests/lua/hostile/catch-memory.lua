-- SPDX-License-Identifier: Apache-2.0
-- catch-memory.lua: running out of memory, caught for ever.
-- ends: stopped
return function(n, distance, field, out)
   while true do
      pcall(function() local t = {} while true do t[#t + 1] = {} end end)
   end
end
