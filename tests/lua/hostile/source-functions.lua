-- SPDX-License-Identifier: Apache-2.0
-- source-functions.lua: functions, too deep.
-- ends: error
return
--* 2000 function() return
1
--* 2000 end
