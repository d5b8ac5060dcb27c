-- SPDX-License-Identifier: Apache-2.0
-- reach-gcinfo.lua: the collector.
-- ends: quietly
return function(n, distance, field, out)
   if gcinfo ~= nil then out[0] = -1 end
end
