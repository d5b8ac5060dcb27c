-- SPDX-License-Identifier: Apache-2.0
-- source-jumps.lua: jumps to one label, which a parser compares with each other.
-- ends: error
--* 8000 goto z
::z::
while true do end
