-- SPDX-License-Identifier: Apache-2.0
-- recursion-tostring.lua: __tostring that asks for itself: frames of C.
-- ends: error
return function(n, distance, field, out)
   local t = setmetatable({}, {})
   getmetatable(t).__tostring = function(s) return "x" .. tostring(s) end
   return tostring(t)
end
