-- SPDX-License-Identifier: Apache-2.0
-- metatable-of-field.lua: a metatable for field, which is locked.
-- ends: error
return function(n, distance, field, out)
   setmetatable(field, { __index = function() return { [0] = 0 } end })
end
