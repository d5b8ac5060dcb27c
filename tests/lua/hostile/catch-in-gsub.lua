-- SPDX-License-Identifier: Apache-2.0
-- catch-in-gsub.lua: a replacement that catches its own stop.
-- ends: stopped
return function(n, distance, field, out)
   ("abc"):gsub(".", function() pcall(function() while true do end end) end)
   while true do end
end
