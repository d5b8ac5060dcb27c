-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-callback-error.lua: a replacement that errs.
-- ends: error
return function(n, distance, field, out)
   return ("x"):gsub(".", function() error("no") end)
end
