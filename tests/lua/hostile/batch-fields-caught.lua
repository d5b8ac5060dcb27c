-- SPDX-License-Identifier: Apache-2.0
-- batch-fields-caught.lua: the same, with each question caught.
-- deadline: none
-- ends: stopped
return function(n, distance, field, out)
   for k = 1, 32 do
      pcall(function()
         for _ = 1, 1000000 do end
         out[0] = field["f" .. k][0]
      end)
   end
end
