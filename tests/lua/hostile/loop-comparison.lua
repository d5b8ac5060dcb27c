-- SPDX-License-Identifier: Apache-2.0
-- loop-comparison.lua: a loop whose work is in its condition.
-- ends: stopped
return function(n, distance, field, out)
   local a = "x"
   while a == a .. "" do end
end
