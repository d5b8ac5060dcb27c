-- SPDX-License-Identifier: Apache-2.0
-- recursion-add.lua: __add that adds.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __add = function(a, b) return 1 + (a + b) end })
   return t + t
end
