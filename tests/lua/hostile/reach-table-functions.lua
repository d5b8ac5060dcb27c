-- SPDX-License-Identifier: Apache-2.0
-- reach-table-functions.lua: functions that are not bounded.
-- ends: quietly
return function(n, distance, field, out)
   for _, name in ipairs({ "foreach", "foreachi", "getn", "maxn", "move", "new", "clear" }) do
      if table[name] ~= nil then out[0] = -1 end
   end
end
