-- SPDX-License-Identifier: Apache-2.0
-- catch-in-comparator.lua: a comparator that catches its own stop.
-- ends: stopped
return function(n, distance, field, out)
   table.sort({ 3, 2, 1, 5, 4 }, function(a, b)
      pcall(function() while true do end end)
      return a < b
   end)
end
