-- SPDX-License-Identifier: Apache-2.0
-- pattern-set-ranges.lua: sets at the edge of what is one.
-- ends: quietly
return function(n, distance, field, out)
   out[0] = ("]"):find("[]]") or 0
   out[1] = ("-"):find("[a-]") or 0
   out[2] = ("x"):find("[^]]") or 0
   out[3] = ("\255"):find("[\0-\255]") or 0
end
