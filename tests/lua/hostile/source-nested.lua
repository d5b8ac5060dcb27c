-- SPDX-License-Identifier: Apache-2.0
-- source-nested.lua: parentheses, too deep.
-- ends: error
return
--* 5000 (
1
--* 5000 )
