-- SPDX-License-Identifier: Apache-2.0
-- given-list-unpack.lua: takes a long list apart at once.
-- hook: rerank
-- ends: error
return function(hits)
   return { unpack(hits[1].field.list) }
end
