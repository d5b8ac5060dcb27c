-- SPDX-License-Identifier: Apache-2.0
-- recursion-eq.lua: __eq that compares.
-- ends: stopped
return function(n, distance, field, out)
   local mt = {}
   local a, b = setmetatable({}, mt), setmetatable({}, mt)
   mt.__eq = function(x, y) return not (x == y) end
   return a == b
end
