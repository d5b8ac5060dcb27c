-- SPDX-License-Identifier: Apache-2.0
-- pattern-reference-open.lua: a reference to a capture that is still open.
-- ends: error
return function(n, distance, field, out)
   return ("x"):find("(x%1)")
end
