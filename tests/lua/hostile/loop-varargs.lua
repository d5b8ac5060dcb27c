-- SPDX-License-Identifier: Apache-2.0
-- loop-varargs.lua: a function of many arguments, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local function f(...) return select("#", ...) end
   while true do f(1, 2, 3, 4, 5, 6, 7, 8, 9) end
end
