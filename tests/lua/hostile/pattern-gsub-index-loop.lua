-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-index-loop.lua: a table of replacements that never answers.
-- ends: stopped
return function(n, distance, field, out)
   return ("x"):gsub(".", setmetatable({}, { __index = function() while true do end end }))
end
