-- SPDX-License-Identifier: Apache-2.0
-- memory-garbage.lua: garbage as fast as can be.
-- ends: stopped
return function(n, distance, field, out)
   while true do local t = { {}, {}, {}, {} } t[1][1] = t end
end
