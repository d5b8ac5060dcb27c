-- SPDX-License-Identifier: Apache-2.0
-- reach-globals-metatable.lua: a metatable of the globals.
-- ends: quietly
return function(n, distance, field, out)
   setmetatable(_G, { __index = function() return 1 end, __newindex = function() end })
   x = 1
end
