-- SPDX-License-Identifier: Apache-2.0
-- given-answer-grows.lua: answers with a list that is longer than its hits.
-- hook: rerank
-- ends: error
return function(hits)
   for i = 1, 1000 do hits[i] = hits[1] end
   return hits
end
