-- SPDX-License-Identifier: Apache-2.0
-- given-again.lua: forgets its fields, and has them made again.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local hit = hits[1]
   while true do
      hit.field = nil
      hit.vector = nil
      local _ = hit.field, hit.vector
   end
end
