-- SPDX-License-Identifier: Apache-2.0
-- recursion-mutual.lua: two functions that call each other.
-- ends: stopped
return function(n, distance, field, out)
   local g
   local function f() return 1 + g() end
   g = function() return 1 + f() end
   f()
end
