-- SPDX-License-Identifier: Apache-2.0
-- reach-environment-removed.lua: an environment without anything.
-- ends: quietly
return function(n, distance, field, out)
   local globals = _G
   for name in pairs(globals) do globals[name] = nil end
end
