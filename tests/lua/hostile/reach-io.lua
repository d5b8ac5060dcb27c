-- SPDX-License-Identifier: Apache-2.0
-- reach-io.lua: files.
-- ends: quietly
return function(n, distance, field, out)
   if io ~= nil then out[0] = -1 end
end
