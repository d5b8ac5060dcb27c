-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-callback-table.lua: a replacement that is no text.
-- ends: error
return function(n, distance, field, out)
   return ("x"):gsub(".", function() return {} end)
end
