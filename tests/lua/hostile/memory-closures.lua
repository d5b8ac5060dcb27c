-- SPDX-License-Identifier: Apache-2.0
-- memory-closures.lua: closures that are kept.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   while true do t[#t + 1] = function() return t end end
end
