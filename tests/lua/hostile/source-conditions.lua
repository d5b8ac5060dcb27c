-- SPDX-License-Identifier: Apache-2.0
-- source-conditions.lua: elseif, thousands of times.
-- ends: stopped
if a then
--* 4000 elseif a then
end
while true do end
