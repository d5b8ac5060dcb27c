-- SPDX-License-Identifier: Apache-2.0
-- reach-globals.lua: globals that are left behind.
-- ends: quietly
return function(n, distance, field, out)
   left_behind = true
   _G.left_behind_too = true
   rawset(_G, "and_this", 1)
   tostring = nil
   pcall = nil
end
