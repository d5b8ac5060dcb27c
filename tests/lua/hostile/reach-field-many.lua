-- SPDX-License-Identifier: Apache-2.0
-- reach-field-many.lua: more fields than there may be.
-- ends: error
return function(n, distance, field, out)
   local sum = 0
   for i = 1, 1000 do sum = sum + field["f" .. i][0] end
end
