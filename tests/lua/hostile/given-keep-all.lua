-- SPDX-License-Identifier: Apache-2.0
-- given-keep-all.lua: keeps every copy of its fields.
-- hook: rerank
-- ends: stopped
return function(hits)
   local all, hit = {}, hits[1]
   while true do
      hit.field = nil
      all[#all + 1] = hit.field
   end
end
