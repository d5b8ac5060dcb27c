-- SPDX-License-Identifier: Apache-2.0
-- reach-setfenv.lua: others' environments.
-- ends: quietly
return function(n, distance, field, out)
   if setfenv ~= nil then out[0] = -1 end
end
