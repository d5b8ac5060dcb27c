-- SPDX-License-Identifier: Apache-2.0
-- reach-debug.lua: everything.
-- ends: quietly
return function(n, distance, field, out)
   if debug ~= nil then out[0] = -1 end
end
