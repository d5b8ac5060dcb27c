-- SPDX-License-Identifier: Apache-2.0
-- reach-newproxy.lua: finalizers.
-- ends: quietly
return function(n, distance, field, out)
   if newproxy ~= nil then out[0] = -1 end
end
