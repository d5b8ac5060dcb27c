-- SPDX-License-Identifier: Apache-2.0
-- memory-tables.lua: tables that are kept.
-- ends: stopped
return function(n, distance, field, out)
   local t = {}
   while true do t = { t } end
end
