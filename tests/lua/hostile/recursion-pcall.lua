-- SPDX-License-Identifier: Apache-2.0
-- recursion-pcall.lua: each level catches what is below it, and tries again.
-- ends: stopped
return function(n, distance, field, out)
   local function f() pcall(f) pcall(f) end
   f()
end
