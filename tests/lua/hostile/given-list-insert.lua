-- SPDX-License-Identifier: Apache-2.0
-- given-list-insert.lua: puts entries in front of a long list.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local list = hits[1].field.list
   while true do table.insert(list, 1, 0) end
end
