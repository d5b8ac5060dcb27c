-- SPDX-License-Identifier: Apache-2.0
-- reach-loadfile.lua: files.
-- ends: quietly
return function(n, distance, field, out)
   if loadfile ~= nil then out[0] = -1 end
end
