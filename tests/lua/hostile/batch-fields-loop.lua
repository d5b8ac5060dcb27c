-- SPDX-License-Identifier: Apache-2.0
-- batch-fields-loop.lua: works for a while before each field, so that it is called again.
-- deadline: none
-- ends: stopped
return function(n, distance, field, out)
   for k = 1, 32 do
      for _ = 1, 1000000 do end
      out[0] = field["f" .. k][0]
   end
end
