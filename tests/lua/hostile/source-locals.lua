-- SPDX-License-Identifier: Apache-2.0
-- source-locals.lua: more locals than there may be.
-- ends: error
--* 300 local a
return function() end
