-- SPDX-License-Identifier: Apache-2.0
-- pattern-malformed.lua: a set without its end.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("[a")
end
