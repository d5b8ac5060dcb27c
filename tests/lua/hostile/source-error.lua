-- SPDX-License-Identifier: Apache-2.0
-- source-error.lua: an error before there is a function.
-- ends: error
error("no function today")
