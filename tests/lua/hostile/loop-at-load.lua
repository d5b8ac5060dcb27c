-- SPDX-License-Identifier: Apache-2.0
-- loop-at-load.lua: never comes to return its function.
-- ends: stopped
while true do end
