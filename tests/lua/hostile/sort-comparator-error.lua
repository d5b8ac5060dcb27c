-- SPDX-License-Identifier: Apache-2.0
-- sort-comparator-error.lua: a comparator that errs.
-- ends: error
return function(n, distance, field, out)
   table.sort({ 3, 2, 1 }, function() error("no") end)
end
