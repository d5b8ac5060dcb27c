-- SPDX-License-Identifier: Apache-2.0
-- reach-loadstring.lua: compiling.
-- ends: quietly
return function(n, distance, field, out)
   if loadstring ~= nil then out[0] = -1 end
end
