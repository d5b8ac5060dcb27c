-- SPDX-License-Identifier: Apache-2.0
-- reach-metatable-of-text.lua: the metatable of texts, which all share.
-- ends: error
return function(n, distance, field, out)
   getmetatable("").__index.upper = function() return "mine" end
end
