-- SPDX-License-Identifier: Apache-2.0
-- catch-error-object.lua: an error value that errs when it is looked at.
-- ends: stopped
return function(n, distance, field, out)
   pcall(error, setmetatable({}, { __tostring = function() while true do end end }))
   while true do end
end
