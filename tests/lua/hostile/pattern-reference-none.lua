-- SPDX-License-Identifier: Apache-2.0
-- pattern-reference-none.lua: a reference to no capture.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("%1")
end
