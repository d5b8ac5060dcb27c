-- SPDX-License-Identifier: Apache-2.0
-- string-format-widest.lua: the widest number there is.
-- ends: quietly
return function(n, distance, field, out)
   out[0] = #("%99.99f"):format(1e308)
   out[1] = #("%-99.0f|%+99d|%099x"):format(1, 2, 3)
end
