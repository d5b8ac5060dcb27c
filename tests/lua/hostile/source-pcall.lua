-- SPDX-License-Identifier: Apache-2.0
-- source-pcall.lua: pcall for a hook.
-- ends: quietly
return pcall
