-- SPDX-License-Identifier: Apache-2.0
-- source-unfinished.lua: a text without its end.
-- ends: error
return "
