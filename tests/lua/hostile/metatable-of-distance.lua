-- SPDX-License-Identifier: Apache-2.0
-- metatable-of-distance.lua: a metatable for distance.
-- ends: quietly
return function(n, distance, field, out)
   setmetatable(distance, { __index = function() while true do end end, __newindex = error })
end
