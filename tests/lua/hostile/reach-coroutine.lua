-- SPDX-License-Identifier: Apache-2.0
-- reach-coroutine.lua: where no budget counts.
-- ends: quietly
return function(n, distance, field, out)
   if coroutine ~= nil then out[0] = -1 end
end
