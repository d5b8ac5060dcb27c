-- SPDX-License-Identifier: Apache-2.0
-- memory-weak.lua: weak tables that are filled.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __mode = "kv" })
   while true do t[{}] = {} end
end
