-- SPDX-License-Identifier: Apache-2.0
-- source-c-function-sort.lua: one that wants a table.
-- ends: error
return table.sort
