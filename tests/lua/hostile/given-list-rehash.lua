-- SPDX-License-Identifier: Apache-2.0
-- given-list-rehash.lua: makes a long list find its place again and again.
-- hook: rerank
-- deadline: none
-- ends: stopped
return function(hits)
   local list = hits[1].field.list
   local k = 0
   while true do
      k = k + 1
      list["k" .. k] = k
      list["k" .. k - 1] = nil
   end
end
