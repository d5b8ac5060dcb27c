-- SPDX-License-Identifier: Apache-2.0
-- memory-strings.lua: texts that are kept.
-- ends: stopped
return function(n, distance, field, out)
   local t, i = {}, 0
   while true do i = i + 1 t[i] = ("x"):rep(1000) .. i end
end
