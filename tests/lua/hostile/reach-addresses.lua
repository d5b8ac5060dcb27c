-- SPDX-License-Identifier: Apache-2.0
-- reach-addresses.lua: addresses, by tostring.
-- ends: quietly
return function(n, distance, field, out)
   for _, value in ipairs({ {}, tostring, pcall, distance }) do
      if tostring(value):find("%d%d%d") or ("%s"):format(value):find("%d%d%d") then out[0] = -1 end
   end
end
