-- SPDX-License-Identifier: Apache-2.0
-- next-modified.lua: a table that changes while it is walked.
-- ends: stopped
return function(n, distance, field, out)
   local t = { a = 1, b = 2 }
   for k in pairs(t) do t[k] = nil for i = 1, 100 do t[k .. i] = i end end
   error("it ended")
end
