-- SPDX-License-Identifier: Apache-2.0
-- recursion-newindex.lua: __newindex that writes what it is told.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __newindex = function(s, k, v) s[k] = v end })
   t.x = 1
end
