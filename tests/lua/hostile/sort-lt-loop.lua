-- SPDX-License-Identifier: Apache-2.0
-- sort-lt-loop.lua: a __lt that never comes back.
-- ends: stopped
return function(n, distance, field, out)
   local mt = { __lt = function() while true do end end }
   table.sort({ setmetatable({}, mt), setmetatable({}, mt) })
end
