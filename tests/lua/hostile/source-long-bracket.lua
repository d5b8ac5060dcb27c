-- SPDX-License-Identifier: Apache-2.0
-- source-long-bracket.lua: a long text without its end.
-- ends: error
return [==[ ]=]
