-- SPDX-License-Identifier: Apache-2.0
-- reach-collectgarbage.lua: the collector.
-- ends: quietly
return function(n, distance, field, out)
   if collectgarbage ~= nil then out[0] = -1 end
end
