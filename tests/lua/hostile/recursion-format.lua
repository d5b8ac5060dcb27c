-- SPDX-License-Identifier: Apache-2.0
-- recursion-format.lua: %s that formats.
-- ends: error
return function(n, distance, field, out)
   local t = setmetatable({}, {})
   getmetatable(t).__tostring = function(s) return ("%s"):format(s) end
   return ("%s"):format(t)
end
