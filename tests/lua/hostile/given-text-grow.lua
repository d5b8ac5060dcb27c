-- SPDX-License-Identifier: Apache-2.0
-- given-text-grow.lua: makes a longer text of a long one.
-- hook: rerank
-- ends: stopped
return function(hits)
   local a = hits[1].field.a
   for _ = 1, 20 do a = a .. a end
end
