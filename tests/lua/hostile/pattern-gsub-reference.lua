-- SPDX-License-Identifier: Apache-2.0
-- pattern-gsub-reference.lua: a replacement that names no capture.
-- ends: error
return function(n, distance, field, out)
   return ("x"):gsub("x", "%9")
end
