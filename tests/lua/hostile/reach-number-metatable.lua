-- SPDX-License-Identifier: Apache-2.0
-- reach-number-metatable.lua: a metatable for numbers.
-- ends: error
return function(n, distance, field, out)
   setmetatable(1, {})
end
