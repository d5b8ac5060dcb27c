-- SPDX-License-Identifier: Apache-2.0
-- memory-upvalues.lua: a chain of closures.
-- ends: stopped
return function(n, distance, field, out)
   local f = function() end
   while true do local g = f f = function() return g end end
end
