-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-loop.lua: a comparator that never comes back.
-- ends: stopped
return function(n, distance, field, out)
   table.sort({ 3, 2, 1 }, function() while true do end end)
end
