-- SPDX-License-Identifier: Apache-2.0
-- reach-print.lua: the standard output.
-- ends: quietly
return function(n, distance, field, out)
   if print ~= nil then out[0] = -1 end
end
