-- SPDX-License-Identifier: Apache-2.0
-- reach-return-self.lua: a function that answers with everything.
-- ends: quietly
return function(n, distance, field, out)
   return _G, field, out, distance
end
