-- SPDX-License-Identifier: Apache-2.0
-- metatable-of-out.lua: a metatable for out, which is read as it is.
-- ends: quietly
return function(n, distance, field, out)
   setmetatable(out, { __index = function() while true do end end })
end
