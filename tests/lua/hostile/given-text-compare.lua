-- SPDX-License-Identifier: Apache-2.0
-- given-text-compare.lua: compares two long texts that differ at their ends.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local field = hits[1].field
   local a, b = field.a, field.b
   while true do
      local _ = a < b
   end
end
