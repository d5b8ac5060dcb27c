-- SPDX-License-Identifier: Apache-2.0
-- reach-metatable-set.lua: another metatable for texts.
-- ends: error
return function(n, distance, field, out)
   setmetatable("", {})
end
