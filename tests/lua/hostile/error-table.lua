-- SPDX-License-Identifier: Apache-2.0
-- error-table.lua: an error that is a table.
-- ends: error
return function(n, distance, field, out)
   error(setmetatable({}, { __tostring = function() error("again") end }))
end
