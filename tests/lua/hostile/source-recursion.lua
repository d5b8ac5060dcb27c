-- SPDX-License-Identifier: Apache-2.0
-- source-recursion.lua: a chunk that overflows the stack.
-- ends: stopped
local function f() return 1 + f() end
return f()
