-- SPDX-License-Identifier: Apache-2.0
-- out-beyond.lua: more rows than there are.
-- ends: quietly
return function(n, distance, field, out)
   for i = -100, 1000 do out[i] = i end
end
