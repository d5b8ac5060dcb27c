-- SPDX-License-Identifier: Apache-2.0
-- given-text-number.lua: takes a long text for a number, caught.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local a = hits[1].field.a
   while true do pcall(function() return a + 1 end) end
end
