-- SPDX-License-Identifier: Apache-2.0
-- index-loop.lua: an __index that never comes back.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __index = function() while true do end end })
   return t.x
end
