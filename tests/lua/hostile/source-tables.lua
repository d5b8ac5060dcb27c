-- SPDX-License-Identifier: Apache-2.0
-- source-tables.lua: tables, too deep.
-- ends: error
return
--* 5000 {
--* 5000 }
