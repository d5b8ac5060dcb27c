-- SPDX-License-Identifier: Apache-2.0
-- loop-for-huge.lua: a loop to infinity.
-- ends: stopped
return function(n, distance, field, out)
   for _ = 1, math.huge do end
end
