-- SPDX-License-Identifier: Apache-2.0
-- index-circle.lua: a circle of __index.
-- ends: error
return function(n, distance, field, out)
   local a, b = {}, {}
   setmetatable(a, { __index = b })
   setmetatable(b, { __index = a })
   return a.x
end
