-- SPDX-License-Identifier: Apache-2.0
-- recursion-deep-pcall.lua: pcall of pcall of pcall.
-- ends: error
return function(n, distance, field, out)
   local f = pcall
   local function deep(k) if k > 0 then return pcall(deep, k - 1) end error("at the bottom") end
   local function check(ok, ...) if ok then return check(...) end error((...), 0) end
   check(deep(100000))
end
