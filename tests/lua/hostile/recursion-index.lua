-- SPDX-License-Identifier: Apache-2.0
-- recursion-index.lua: __index that reads what it is asked for.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, {})
   getmetatable(t).__index = function(s, k) return s[k] end
   return t.x
end
