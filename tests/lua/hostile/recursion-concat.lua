-- SPDX-License-Identifier: Apache-2.0
-- recursion-concat.lua: __concat that concatenates.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __concat = function(a, b) return "x" .. (a .. b) end })
   return t .. t
end
