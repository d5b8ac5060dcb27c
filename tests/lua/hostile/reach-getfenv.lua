-- SPDX-License-Identifier: Apache-2.0
-- reach-getfenv.lua: others' environments.
-- ends: quietly
return function(n, distance, field, out)
   if getfenv ~= nil then out[0] = -1 end
end
