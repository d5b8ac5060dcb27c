-- SPDX-License-Identifier: Apache-2.0
-- batch-loop-for-ever.lua: no search bounds it.
-- deadline: none
-- ends: stopped
return function()
   while true do end
end
