-- SPDX-License-Identifier: Apache-2.0
-- catch-in-index.lua: an __index that catches its own stop.
-- ends: stopped
return function(n, distance, field, out)
   local t = setmetatable({}, { __index = function() pcall(function() while true do end end) end })
   while true do local _ = t.x end
end
