-- SPDX-License-Identifier: Apache-2.0
-- loop-arithmetic.lua: a loop that a compiler would like.
-- ends: stopped
return function(n, distance, field, out)
   local x = 0
   while true do x = x + 1 end
end
