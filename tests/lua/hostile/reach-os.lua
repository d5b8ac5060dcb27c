-- SPDX-License-Identifier: Apache-2.0
-- reach-os.lua: the system.
-- ends: quietly
return function(n, distance, field, out)
   if os ~= nil then out[0] = -1 end
end
