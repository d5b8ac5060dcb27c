-- SPDX-License-Identifier: Apache-2.0
-- index-chain.lua: a long chain of __index.
-- ends: error
return function(n, distance, field, out)
   local t = {}
   for _ = 1, 1000 do t = setmetatable({}, { __index = t }) end
   return t.x + 1
end
