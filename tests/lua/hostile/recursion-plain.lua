-- SPDX-License-Identifier: Apache-2.0
-- recursion-plain.lua: a function that calls itself.
-- ends: stopped
return function(n, distance, field, out)
   local function f() return 1 + f() end
   f()
end
