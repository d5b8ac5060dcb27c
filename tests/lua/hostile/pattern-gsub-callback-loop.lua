-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-callback-loop.lua: a replacement that never comes back.
-- ends: stopped
return function(n, distance, field, out)
   return ("x"):gsub(".", function() while true do end end)
end
