-- SPDX-License-Identifier: Apache-2.0
-- loop-pairs-restart.lua: next from the start, again and again.
-- ends: stopped
return function(n, distance, field, out)
   local t = { 1, 2, 3 }
   while true do next(t) end
end
