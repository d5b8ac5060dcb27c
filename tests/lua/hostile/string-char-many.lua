-- SPDX-License-Identifier: Apache-2.0
-- string-char-many.lua: char of thousands, for ever.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   for i = 1, 5000 do t[i] = 65 end
   while true do string.char(unpack(t)) end
end
