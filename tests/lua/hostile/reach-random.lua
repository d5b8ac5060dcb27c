-- SPDX-License-Identifier: Apache-2.0
-- reach-random.lua: the order of chance that others see.
-- ends: quietly
return function(n, distance, field, out)
   if (math.random or math.randomseed) ~= nil then out[0] = -1 end
end
