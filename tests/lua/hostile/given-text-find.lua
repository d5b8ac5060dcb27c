-- SPDX-License-Identifier: Apache-2.0
-- given-text-find.lua: looks for a pattern in a long text.
-- hook: rerank
-- ends: error
return function(hits)
   return hits[1].field.a:find(".-.-.-y")
end
