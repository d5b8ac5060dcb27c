-- SPDX-License-Identifier: Apache-2.0
-- loop-while-calls.lua: a loop around a function of C.
-- ends: stopped
return function(n, distance, field, out)
   while true do math.abs(-1) end
end
