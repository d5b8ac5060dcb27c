-- SPDX-License-Identifier: Apache-2.0
-- loop-nested.lua: many small loops instead of one.
-- ends: stopped
return function(n, distance, field, out)
   for _ = 1, 1e9 do for _ = 1, 100 do end end
end
