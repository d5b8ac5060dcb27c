-- SPDX-License-Identifier: Apache-2.0
-- reach-field-walk.lua: the fields that others have.
-- ends: quietly
return function(n, distance, field, out)
   for k in pairs(field) do out[0] = -1 end
   if next(field) then out[0] = -1 end
   if rawget(field, "x1") then out[0] = -1 end
end
