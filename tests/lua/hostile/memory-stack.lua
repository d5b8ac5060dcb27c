-- SPDX-License-Identifier: Apache-2.0
-- memory-stack.lua: a stack that is deep and caught, again and again.
-- ends: stopped
return function(n, distance, field, out)
   local function f(k, ...) if k == 0 then return ... end return f(k - 1, k, ...) end
   while true do pcall(f, 200) end
end
