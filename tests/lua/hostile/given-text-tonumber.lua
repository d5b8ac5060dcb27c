-- SPDX-License-Identifier: Apache-2.0
-- given-text-tonumber.lua: takes a long text for a number.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local a = hits[1].field.a
   while true do tonumber(a) end
end
