-- SPDX-License-Identifier: Apache-2.0
-- source-memory.lua: a chunk that uses up the memory.
-- ends: stopped
local t = {}
while true do t = { t } end
