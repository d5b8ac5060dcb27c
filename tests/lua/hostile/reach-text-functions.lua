-- SPDX-License-Identifier: Apache-2.0
-- reach-text-functions.lua: functions of texts, by name.
-- ends: quietly
return function(n, distance, field, out)
   string.upper = function() return "mine" end
   string.find = nil
   for k in pairs(string) do string[k] = nil end
   rawset(string, "upper", 1)
end
