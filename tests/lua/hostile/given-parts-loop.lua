-- SPDX-License-Identifier: Apache-2.0
-- given-parts-loop.lua: works before it asks for the fields and for the vector.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   for _ = 1, 4000000 do end
   local field = hits[1].field
   for _ = 1, 4000000 do end
   local vector = hits[1].vector
   while field and vector do end
end
